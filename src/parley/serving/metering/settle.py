"""Settles a request: its one usage record and its charge, durable before the reply's last byte; checkpoints until then."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from parley.core.clock import Clock
from parley.core.grant import GenerationGrant, Grant
from parley.core.hold import Hold
from parley.core.price import charge_nano
from parley.core.usage import Outcome, Usage, UsageRecord
from parley.serving.metering.meter import Meter

# How often what runs is written down. A request that is over sooner leaves nothing but its settlement.
CHECKPOINT_SECONDS = 0.5
# The ends that are our own doing, not the client's.
_BROKEN_OFF = frozenset({Outcome.FAILED, Outcome.CUT})


class SettlementSink(Protocol):
    """Where requests are settled. `parley.operations.settlements` is the real one."""

    async def settle(self, hold: Hold, record: UsageRecord) -> None:
        """Charge the hold and keep the record; returns when both are durable. Repeating it changes nothing."""
        ...

    async def checkpoint(self, running: Sequence[tuple[Hold, UsageRecord]]) -> None:
        """Keep what running requests have used so far, so that it is charged if this process dies."""
        ...

    def cover(self, hold: Hold, nano: int) -> None:
        """Hold so much more for what was used already, as far as there is room for it."""
        ...

    def release(self, hold: Hold) -> None:
        """Give back what is held, if anything still is."""
        ...


class Settlement:
    """Settles each request once, and checkpoints those that run for longer while `run` runs."""

    def __init__(self, sink: SettlementSink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._running: dict[str, tuple[Grant, Meter]] = {}
        self._has_running = asyncio.Event()
        # Request -> its meter's progress at its last checkpoint.
        self._written: dict[str, tuple[int, float]] = {}

    def new_meter(self, *, received_at: float) -> Meter:
        """What counts a request that was received then, in the clock's monotonic seconds."""
        return Meter(self._clock, received_at=received_at)

    def begin(self, grant: Grant, meter: Meter) -> None:
        """Take care of a request from now on; `settle` ends it."""
        self._running[grant.request_id] = (grant, meter)
        self._has_running.set()

    async def settle(self, grant: Grant, meter: Meter, outcome: Outcome) -> Usage:
        """The usage charged: who was answered with an error alone pays nothing. Nothing is held afterwards, even if it fails."""
        self._running.pop(grant.request_id, None)
        self._written.pop(grant.request_id, None)
        try:
            self._cover(grant, meter)
            record = self._record(grant, meter, outcome)
            await self._sink.settle(grant.hold, record)
        finally:
            self._sink.release(grant.hold)
        return record.usage

    async def run(self) -> None:
        """Checkpoint what runs, until cancelled. Raises what the sink raises: records can no longer be kept then."""
        while True:
            await self._has_running.wait()
            await asyncio.sleep(CHECKPOINT_SECONDS)
            await self.checkpoint()
            if not self._running:
                self._has_running.clear()

    async def checkpoint(self) -> None:
        """Write down each running request that has used more since its last checkpoint, or has none yet."""
        changed = []
        for request_id, (grant, meter) in self._running.items():
            progress = meter.progress
            if self._written.get(request_id) != progress:
                self._written[request_id] = progress
                changed.append((grant.hold, self._record(grant, meter, Outcome.FAILED)))
        if changed:
            await self._sink.checkpoint(changed)

    def _cover(self, grant: Grant, meter: Meter) -> None:
        """A server that tokenises may count more than credit was held for by an estimate: of the prompt, and of the window's rest."""
        if isinstance(grant, GenerationGrant) and grant.prompts[0].source is not None:
            beyond = charge_nano(grant.hold.price, meter.usage) - grant.hold.amount_nano
            if beyond > 0:
                self._sink.cover(grant.hold, beyond)

    def _record(self, grant: Grant, meter: Meter, outcome: Outcome) -> UsageRecord:
        # Whoever leaves pays for what was still generated for it; nobody else pays for what was not delivered.
        usage, doubt = meter.generated(grant.hold) if outcome is Outcome.ABORTED else meter.usage, meter.doubt
        request, principal, hold = grant.request, grant.principal, grant.hold
        if outcome in _BROKEN_OFF and not (request.is_stream and (usage.output_tokens or meter.has_told)):
            # Nothing of it was delivered but an error: a plain reply comes whole or not at all.
            usage, doubt = Usage(), None
        return UsageRecord(
            request_id=grant.request_id,
            created_at=self._clock.now(),
            organization_id=principal.organization_id,
            project_id=principal.project_id,
            key_id=principal.key_id,
            user_id=principal.user_id,
            endpoint=request.endpoint,
            requested_model=request.model,
            snapshot=grant.snapshot.name,
            weights=grant.weights.name,
            price_version=hold.price.version,
            # An engine may be a step ahead when it is stopped; nobody pays for more than was held.
            charge_nano=min(charge_nano(hold.price, usage), hold.amount_nano),
            outcome=outcome,
            usage=usage,
            num_choices=request.num_choices,
            is_stream=request.is_stream,
            queue_seconds=meter.queue_seconds,
            ttft_seconds=meter.ttft_seconds,
            e2e_seconds=meter.e2e_seconds,
            user=request.user,
            metadata=request.metadata,
            doubt=doubt,
        )
