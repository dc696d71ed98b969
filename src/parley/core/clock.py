"""Time as a value that is handed in: wall time for records, monotonic time for intervals and deadlines."""

import time
from typing import Protocol

_JUMP_SECONDS = 60.0
_STEADY_SECONDS = 600.0


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


class Steadiness:
    """Whether the wall clock can be believed: it may be wrong at a start, or for a moment, and be set right later."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_seconds = clock.now() - clock.monotonic()
        self._since = clock.monotonic()

    def look(self) -> float:
        """By how many seconds it was set since the last look, back where that is below 0; 0.0 for less than a minute."""
        ahead = self._clock.now() - self._clock.monotonic()
        jump = ahead - self._ahead_seconds
        if abs(jump) <= _JUMP_SECONDS:
            return 0.0
        self._ahead_seconds, self._since = ahead, self._clock.monotonic()
        return jump

    def is_steady(self) -> bool:
        """Whether it has gone along with the monotonic clock for ten minutes. What its passing ends for good waits for that."""
        self.look()
        return self._clock.monotonic() - self._since >= _STEADY_SECONDS


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
