"""Time as a value that is handed in: wall time for records, monotonic time for intervals and deadlines."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks that must not be mixed."""

    def now(self) -> float:
        """Seconds since the epoch, UTC; may jump. For records and display only."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary point; never jumps. For intervals, limits and deadlines."""
        ...


class SystemClock:
    def now(self) -> float:
        return time.time()  # noqa: TID251 - the one place that reads the wall clock

    def monotonic(self) -> float:
        return time.monotonic()


class FakeClock:
    """A clock that moves when it is told to; starts at 2023-03-01T00:00:00Z."""

    def __init__(self, *, now: float = 1_677_628_800.0) -> None:
        self._now = now
        self._monotonic = 1_000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds

    def set_back(self, seconds: float) -> None:
        """The wall clock jumps back; what is monotonic does not."""
        self._now -= seconds
