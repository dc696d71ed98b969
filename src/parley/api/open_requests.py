"""Every request that is being answered, so that a stopping server can refuse new ones and, at the end, cut the rest."""

import asyncio
from contextlib import AbstractContextManager
from types import TracebackType

from parley.api.reception import Reception
from parley.core.errors import AuthenticationFailed, Overloaded
from parley.core.principal import Caller


class OpenRequests:
    """Three phases, one way: everything is answered; new work is refused; what still runs is cut."""

    def __init__(self) -> None:
        self._open: set[Reception] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_accepting = True
        self._is_cut = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def is_accepting(self) -> bool:
        """Whether new work is taken."""
        return self._is_accepting

    def check_accepting(self) -> None:
        """Raises Overloaded while the server stops: the client may try another one, or this one in a second."""
        if not self._is_accepting:
            raise Overloaded("The server is restarting. Please retry your request.", retry_after_seconds=1.0)

    async def wait_idle(self) -> None:
        """Return when no request is open."""
        await self._is_idle.wait()

    def refuse_new(self) -> None:
        """From now on `check_accepting` refuses; what is open goes on."""
        self._is_accepting = False

    def cut(self) -> None:
        """End every open request, and every later one, with an error that its client gets to see."""
        self._is_accepting = False
        self._is_cut = True
        for reception in tuple(self._open):
            reception.interruption.interrupt(_cut_error())

    def end_those_of(self, callers: frozenset[Caller]) -> None:
        """End every open request in the name of those who may no longer run it, streams in their middle too."""
        for reception in tuple(self._open):
            if reception.caller in callers:
                reception.interruption.interrupt(
                    AuthenticationFailed("Your API key no longer counts.", code="invalid_api_key")
                )

    def holding(self, reception: Reception) -> AbstractContextManager[None]:
        """Keep the request among the open ones while the body runs, which `cut` ends by raising Overloaded in it."""
        return _Holding(self, reception)

    def take(self, reception: Reception) -> None:
        """Count it among the open ones. Raises Overloaded where the rest was cut."""
        if self._is_cut:
            raise _cut_error()
        self._open.add(reception)
        self._is_idle.clear()

    def let_go(self, reception: Reception) -> None:
        """It is answered."""
        self._open.discard(reception)
        if not self._open:
            self._is_idle.set()


class _Holding(AbstractContextManager[None]):
    """A class instead of a generator: every request enters it."""

    __slots__ = ("_open_requests", "_reception")

    def __init__(self, open_requests: OpenRequests, reception: Reception) -> None:
        self._open_requests = open_requests
        self._reception = reception

    def __enter__(self) -> None:
        self._open_requests.take(self._reception)
        self._reception.interruption.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open_requests.let_go(self._reception)
        self._reception.interruption.__exit__(kind, error, trace)


def _cut_error() -> Overloaded:
    return Overloaded("The server stopped before your request was finished. Please retry your request.")
