"""Settles a request: writes its one usage record, durable before the reply's last byte."""

from typing import Protocol

from parley.core.clock import Clock
from parley.core.grant import Grant
from parley.core.usage import Outcome, Usage, UsageRecord
from parley.serving.metering.meter import Meter


class UsageSink(Protocol):
    """Where usage records go. A second record with the same request id changes nothing."""

    async def record(self, record: UsageRecord) -> None:
        """Returns when the record is durable."""
        ...


class Settlement:
    """Writes the usage record of a request, once."""

    def __init__(self, sink: UsageSink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock

    async def settle(self, grant: Grant, meter: Meter, outcome: Outcome) -> Usage:
        """The usage charged: a failure before the first token costs nothing."""
        usage, doubt = meter.usage, meter.doubt
        if outcome is Outcome.FAILED and not usage.output_tokens:
            usage, doubt = Usage(), None
        request, principal = grant.request, grant.principal
        record = UsageRecord(
            request_id=grant.request_id,
            created_at=self._clock.now(),
            organization_id=principal.organization_id,
            project_id=principal.project_id,
            key_id=principal.key_id,
            endpoint=request.endpoint,
            requested_model=request.model,
            snapshot=grant.snapshot.name,
            weights=grant.weights.name,
            price_version=grant.snapshot.price.version,
            outcome=outcome,
            usage=usage,
            num_choices=len(request.prompts) * request.n,
            is_stream=request.is_stream,
            queue_seconds=meter.queue_seconds,
            ttft_seconds=meter.ttft_seconds,
            e2e_seconds=meter.e2e_seconds,
            user=request.user,
            metadata=request.metadata,
            doubt=doubt,
        )
        await self._sink.record(record)
        return usage
