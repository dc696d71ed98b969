"""A request as handlers get it: its head is read once, by look-up, since each of the layers asks for headers that are not there."""

from typing import Any, TypeVar, overload

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request, empty_receive
from starlette.types import Receive, Scope

D = TypeVar("D")
_KEY = "headers"


class RequestHeaders(Headers):
    """Starlette's headers, found by look-up: there, each question goes through all of them."""

    def __init__(self, scope: Scope) -> None:
        self._list = scope["headers"]
        # Of those with one name, the first.
        self._first: dict[bytes, bytes] = dict(reversed(self._list))

    def __getitem__(self, key: str) -> str:
        return self._first[key.lower().encode("latin-1")].decode("latin-1")

    def __contains__(self, key: Any) -> bool:  # noqa: ANN401 - as its parent has it
        return key.lower().encode("latin-1") in self._first

    @overload
    def get(self, key: str, /) -> str | None: ...

    @overload
    def get(self, key: str, default: str | D, /) -> str | D: ...

    def get(self, key: str, default: object = None, /) -> object:
        """The first header of this name."""
        value = self._first.get(key.lower().encode("latin-1"))
        return default if value is None else value.decode("latin-1")

    def getlist(self, key: str) -> list[str]:
        """All headers of this name, in their order."""
        if len(self._first) == len(self._list):
            value = self._first.get(key.lower().encode("latin-1"))
            return [] if value is None else [value.decode("latin-1")]
        return super().getlist(key)

    def has_any(self, names: frozenset[bytes]) -> bool:
        """Whether there is a header of one of these names, which are in small letters."""
        return not names.isdisjoint(self._first)


def headers_of(scope: Scope) -> RequestHeaders:
    """The headers of the request that `scope` describes, the same object each time."""
    state: dict[str, Any] = scope["state"]
    made: RequestHeaders | None = state.get(_KEY)
    if made is None:
        made = state[_KEY] = RequestHeaders(scope)
    return made


class HttpRequest(Request):
    """Starlette's request, with the headers that were read already, and its body without a generator."""

    def __init__(self, scope: Scope, receive: Receive = empty_receive) -> None:
        super().__init__(scope, receive)
        self._read_headers = headers_of(scope)

    @property
    def headers(self) -> Headers:
        return self._read_headers

    async def body(self) -> bytes:
        """The whole body, read once. Raises ClientDisconnect where it has no end."""
        if not hasattr(self, "_body"):
            parts: list[bytes] = []
            is_open = True
            while is_open:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                parts.append(message.get("body", b""))
                is_open = message.get("more_body", False)
            self._body = parts[0] if len(parts) == 1 else b"".join(parts)
        return self._body
