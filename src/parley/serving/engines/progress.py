"""Whether a child makes progress: judged by its signs of life while it has work, never by its answering a question."""

from collections import deque
from collections.abc import Sequence

# One pause may be so many times as long as the 99th percentile of those before it.
_TIMES_USUAL = 20
_NUM_PAUSES = 512


def longest_pause(pauses: Sequence[float], *, floor_seconds: float) -> float:
    """How long a silence may last: 20 times the 99th percentile of the pauses seen so far, and at least the floor."""
    ordered = sorted(pauses)
    usual = ordered[int(0.99 * (len(ordered) - 1))] if ordered else 0.0
    return max(floor_seconds, _TIMES_USUAL * usual)


class Progress:
    """The work that is open on one child, and when it last gave a sign of life. Times are monotonic seconds, handed in."""

    def __init__(self, *, floor_seconds: float) -> None:
        self._floor_seconds = floor_seconds
        self._num_open = 0
        self._last_sign = 0.0
        self._pauses: deque[float] = deque(maxlen=_NUM_PAUSES)

    def begin(self, now: float) -> None:
        """Work is open from now on; signs of life are owed. Several pieces of work may be open."""
        if not self._num_open:
            self._last_sign = now
        self._num_open += 1

    def end(self) -> None:
        """One piece of work is done."""
        self._num_open -= 1

    def sign(self, now: float) -> None:
        """A sign of life came."""
        if self._num_open:
            self._pauses.append(now - self._last_sign)
        self._last_sign = now

    def forget(self, now: float) -> None:
        """A new child: what its predecessor's pauses were says nothing of it."""
        self._pauses.clear()
        self._last_sign = now

    def is_stalled(self, now: float) -> bool:
        """Whether work is open and the silence has lasted too long."""
        if not self._num_open:
            return False
        return now - self._last_sign > longest_pause(self._pauses, floor_seconds=self._floor_seconds)
