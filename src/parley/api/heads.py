"""A request's head, read once: each of the layers asks for headers by their names, and most of those are not there."""

from typing import Any, TypeVar, overload

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

D = TypeVar("D")
_KEY = "headers"


class RequestHeaders(Headers):
    """Starlette's headers, found by look-up: there, each question goes through all of them."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        self._by_name: dict[str, list[str]] = {}
        for name, value in self._list:
            self._by_name.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))

    def __getitem__(self, key: str) -> str:
        return self._by_name[key.lower()][0]

    def __contains__(self, key: Any) -> bool:  # noqa: ANN401 - as its parent has it
        return key.lower() in self._by_name

    @overload
    def get(self, key: str, /) -> str | None: ...

    @overload
    def get(self, key: str, default: str | D, /) -> str | D: ...

    def get(self, key: str, default: object = None, /) -> object:
        """The first header of this name."""
        values = self._by_name.get(key.lower())
        return default if values is None else values[0]

    def getlist(self, key: str) -> list[str]:
        """All headers of this name, in their order."""
        return list(self._by_name.get(key.lower(), ()))


def headers_of(scope: Scope) -> RequestHeaders:
    """The headers of the request that `scope` describes, the same object each time."""
    state: dict[str, Any] = scope.setdefault("state", {})
    made: RequestHeaders | None = state.get(_KEY)
    if made is None:
        made = state[_KEY] = RequestHeaders(scope)
    return made


class HttpRequest(Request):
    """Starlette's request, with the headers that were read already."""

    @property
    def headers(self) -> Headers:
        return headers_of(self.scope)
