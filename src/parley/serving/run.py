"""The Run: the open, owned execution of one request."""

from collections.abc import AsyncIterator

from parley.core.events import Event
from parley.core.grant import Grant


class Run:
    grant: Grant

    def __aiter__(self) -> AsyncIterator[Event]:
        raise NotImplementedError

    async def __anext__(self) -> Event:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError
