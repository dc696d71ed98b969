"""Every request that is being answered, so that a stopping server can refuse new ones and, at the end, cut the rest."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from parley.api.reception import Reception
from parley.core.errors import AuthenticationFailed, Overloaded


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

    def end_keys(self, key_ids: frozenset[str]) -> None:
        """End every open request of keys that no longer count, streams in their middle too."""
        for reception in tuple(self._open):
            if reception.key_id in key_ids:
                reception.interruption.interrupt(
                    AuthenticationFailed("Your API key no longer counts.", code="invalid_api_key")
                )

    @contextmanager
    def holding(self, reception: Reception) -> Iterator[None]:
        """Keep the request among the open ones while the body runs, which `cut` ends by raising Overloaded in it."""
        with reception.interruption:
            self._open.add(reception)
            self._is_idle.clear()
            try:
                if self._is_cut:
                    raise _cut_error()
                yield
            finally:
                self._open.discard(reception)
                if not self._open:
                    self._is_idle.set()


def _cut_error() -> Overloaded:
    return Overloaded("The server stopped before your request was finished. Please retry your request.")
