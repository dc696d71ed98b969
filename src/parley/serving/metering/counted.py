"""Settlements that are counted: for metrics, once each is durable."""

from collections.abc import Callable, Sequence

from parley.core.hold import Hold
from parley.core.usage import UsageRecord
from parley.serving.metering.settle import SettlementSink


class CountedSettlements:
    """Passes everything on to `sink`, and tells `settled` of each record that was kept."""

    def __init__(self, sink: SettlementSink, settled: Callable[[UsageRecord], None]) -> None:
        self._sink = sink
        self._settled = settled

    async def settle(self, hold: Hold, record: UsageRecord) -> None:
        """As the sink does it. What is settled already is not counted again."""
        is_first = hold.is_open
        await self._sink.settle(hold, record)
        if is_first:
            self._settled(record)

    async def checkpoint(self, running: Sequence[tuple[Hold, UsageRecord]]) -> None:
        """As the sink does it."""
        await self._sink.checkpoint(running)

    def cover(self, hold: Hold, nano: int) -> None:
        """As the sink does it."""
        self._sink.cover(hold, nano)

    def release(self, hold: Hold) -> None:
        """As the sink does it."""
        self._sink.release(hold)
