"""`GET /`: hands the catalog's names to the page that shows them."""

from collections.abc import Sequence
from typing import Protocol

from starlette.responses import Response

from parley.api.call import Call
from parley.core.snapshot import Snapshot


class Page(Protocol):
    """What draws the page. `parley.web` has it, which this package does not import; app.py joins them."""

    @property
    def content_security_policy(self) -> str: ...

    def render(self, base_url: str, entries: Sequence[tuple[str, Snapshot, bool]]) -> bytes: ...


class LandingRoute:
    """Handler of `/`."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def __call__(self, call: Call) -> Response:
        # The guard has let exactly one well-formed Host through. It is shown, never trusted.
        base_url = f"{call.http.scope['scheme']}://{call.http.headers['host']}"
        return Response(
            self._page.render(base_url, call.services.catalog.entries()),
            media_type="text/html",
            headers={
                "content-security-policy": self._page.content_security_policy,
                "referrer-policy": "no-referrer",
                "cache-control": "no-cache",
            },
        )
