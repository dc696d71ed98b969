"""`GET /invite` and `GET /reset`: what the links of mails open."""

from typing import Protocol

from starlette.responses import Response

from parley.api.call import Call


class StaticPage(Protocol):
    """A page that is the same for everybody. `parley.web` has it, which this package does not import; app.py joins them."""

    @property
    def content_security_policy(self) -> str: ...

    @property
    def body(self) -> bytes: ...


class DoorRoute:
    """Handler of both: the page reads from its address what it is for."""

    def __init__(self, page: StaticPage) -> None:
        self._page = page

    async def __call__(self, call: Call) -> Response:  # noqa: ARG002 - a handler's shape
        return Response(
            self._page.body,
            media_type="text/html",
            headers={
                "content-security-policy": self._page.content_security_policy,
                "referrer-policy": "no-referrer",
                "cache-control": "no-cache",
            },
        )
