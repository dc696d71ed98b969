"""The Run: the open, owned execution of one request. Closing it stops the engine, frees the slots and settles."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Generic, Protocol, TypeVar

from parley.core.events import Finished
from parley.core.grant import Grant
from parley.core.usage import Outcome, Usage
from parley.serving.admission.rates import OpenPermit, close_permit
from parley.serving.closing import Closing
from parley.serving.metering.meter import Meter
from parley.serving.metering.settle import Settlement

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
G_co = TypeVar("G_co", bound=Grant, covariant=True)


class Work(Protocol[E_co]):
    """What a Run owns while it runs: an engine's work on one request."""

    @property
    def progress(self) -> str | None:
        """See `Run.progress`."""
        ...

    def events(self) -> AsyncGenerator[E_co, None]:
        """The events. Where they end, the request is done."""
        ...


class Run(Generic[G_co, E]):
    """Iterate, then close; closing is harmless at any time and any number of times, also under cancellation.

    One task iterates. It, or another once the iteration has ended, closes. Exactly one usage record comes of every Run.
    """

    def __init__(
        self,
        *,
        grant: G_co,
        meter: Meter,
        permit: OpenPermit,
        settlement: Settlement,
        begin: Callable[[Closing], Work[E]],
    ) -> None:
        """`begin` takes a place in a queue, and leaves to its argument what is to be closed before the settlement. What it
        raises (Overloaded) is raised, and the Run then needs no closing."""
        self.grant = grant
        self._meter = meter
        self._settlement = settlement
        self._permit = permit
        self._outcome = Outcome.ABORTED
        self._usage = Usage()
        self._closing: asyncio.Future[None] | None = None
        self._at_end = Closing()
        self._at_end.push_async(self._settle)
        self._work = begin(self._at_end)
        settlement.begin(grant, meter)
        self._events = self._work.events()
        self._is_finished = False

    def closes_too(self, taken: AbstractContextManager[object]) -> None:
        """Leave `taken` when the Run is closed, after everything else. Before the first iteration."""
        self._at_end.push_last(partial(taken.__exit__, None, None, None))

    @property
    def progress(self) -> str | None:
        """One line for who waits for the first event, such as `loading NAME (3 s)`; None where nothing is to be said."""
        return self._work.progress

    def __aiter__(self) -> "Run[G_co, E]":
        return self

    async def __anext__(self) -> E | Finished:
        """The next event. `Finished` comes after everything is freed and settled. Raises EngineFailed.

        A cancellation while a request that came to its end is being settled is swallowed: it is charged, so it is told.
        """
        if self._is_finished or self._closing is not None:
            raise StopAsyncIteration
        try:
            return await self._events.__anext__()
        except StopAsyncIteration:
            self._is_finished = True
            self._outcome = Outcome.FINISHED
        except Exception:
            self._outcome = Outcome.FAILED
            raise
        await self._settled()
        return Finished(self._usage)

    async def _settled(self) -> None:
        try:
            await self.aclose()
        except asyncio.CancelledError:
            if self._closing is None or self._closing.cancelled():
                raise

    async def aclose(self, outcome: Outcome | None = None) -> None:
        """Free and settle everything; returns, or is cancelled, only after it is done.

        `outcome` is what the usage record shall say of a Run that did not finish; ABORTED where it is left out.
        """
        if self._closing is None:
            if outcome is not None and self._outcome is Outcome.ABORTED:
                self._outcome = outcome
            self._closing = asyncio.ensure_future(self._close())
        await _complete(self._closing)

    async def _close(self) -> None:
        self._at_end.push_async(self._events.aclose)
        await self._at_end.aclose()

    async def _settle(self) -> None:
        try:
            self._usage = await self._settlement.settle(self.grant, self._meter, self._outcome)
        finally:
            # What counts against limits is what was worked, also where it is not charged.
            close_permit(self._permit, self._meter.generated(self.grant.hold))


async def _complete(task: "asyncio.Future[None]") -> None:
    """Wait for `task` to its end, through any cancellation of the waiting, which is raised again afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
