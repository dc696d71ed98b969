"""The Run: the open, owned execution of one request. Closing it stops the engine, frees the slots and settles."""

import asyncio
from contextlib import AsyncExitStack

from parley.core.events import Finished, RunEvent
from parley.core.grant import Grant
from parley.core.usage import Outcome, Usage
from parley.serving.admission.admit import Admitted
from parley.serving.admission.rates import used_tokens
from parley.serving.execution import Execution
from parley.serving.metering.meter import Meter
from parley.serving.metering.settle import Settlement
from parley.serving.prompting.prepare import Prompting
from parley.serving.scheduling.pool import Pool


class Run:
    """Iterate, then close; closing is harmless at any time and any number of times, also under cancellation.

    One task iterates. It, or another once the iteration has ended, closes. Exactly one usage record comes of every Run.
    """

    def __init__(
        self,
        *,
        grant: Grant,
        pool: Pool,
        prompting: Prompting,
        meter: Meter,
        admitted: Admitted,
        settlement: Settlement,
    ) -> None:
        """Takes a place in the pool's queue; raises Overloaded when there is none, and then needs no closing."""
        self.grant = grant
        self._meter = meter
        self._settlement = settlement
        self._permit = admitted.permit
        self._outcome = Outcome.ABORTED
        self._usage = Usage()
        self._closing: asyncio.Future[None] | None = None
        # Closed from the last entry to the first.
        self._stack = AsyncExitStack()
        self._stack.push_async_callback(self._settle)
        execution = Execution(
            grant=grant,
            pool=pool,
            prompting=prompting,
            meter=meter,
            allowance=admitted.allowance,
            stack=self._stack,
        )
        self._execution = execution
        settlement.begin(grant, meter)
        self._events = execution.events()
        self._is_finished = False

    @property
    def progress(self) -> str | None:
        """One line for who waits for the first event, such as `loading NAME (3 s)`; None where nothing is to be said."""
        return self._execution.progress

    def __aiter__(self) -> "Run":
        return self

    async def __anext__(self) -> RunEvent:
        """The next event. `Finished` comes after everything is freed and settled. Raises EngineFailed."""
        if self._is_finished or self._closing is not None:
            raise StopAsyncIteration
        try:
            event = await self._events.__anext__()
        except Exception:
            self._outcome = Outcome.FAILED
            raise
        if type(event) is Finished:
            self._is_finished = True
            self._outcome = Outcome.FINISHED
            await self.aclose()
            return Finished(self._usage)
        return event

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
        async with self._stack:
            await self._events.aclose()

    async def _settle(self) -> None:
        try:
            self._usage = await self._settlement.settle(self.grant, self._meter, self._outcome)
        finally:
            # What counts against limits is what was worked, also where it is not charged.
            self._permit.close(used_tokens(self._meter.generated(self.grant.hold)))


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
