"""When what keeps failing is started again: after a pause that grows, and after many failures in a short time not for a while."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from parley.core.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """Times in seconds. The pause doubles with each failure inside the window; with `max_failures` in it, it is over for now."""

    first_pause_seconds: float = 1.0
    last_pause_seconds: float = 60.0
    window_seconds: float = 300.0
    max_failures: int = 5


def is_given_up(failures: Sequence[float], now: float, policy: RestartPolicy) -> bool:
    """Whether so many failures lie in the window that the next start waits for a whole window after the last of them."""
    if len(failures) < policy.max_failures:
        return False
    last = failures[-1]
    return last - failures[-policy.max_failures] < policy.window_seconds and now < last + policy.window_seconds


def next_start(failures: Sequence[float], now: float, policy: RestartPolicy) -> float:
    """The time at which the next start is due; `now` when nothing stands against it. Times are monotonic, oldest first."""
    recent = [when for when in failures if now - when < policy.window_seconds]
    if is_given_up(failures, now, policy):
        return failures[-1] + policy.window_seconds
    if not recent:
        return now
    # The exponent is bounded: a long row of failures must not make a number that no float holds.
    doubled = policy.first_pause_seconds * 2.0 ** min(len(recent) - 1, 62)
    return max(now, recent[-1] + min(doubled, policy.last_pause_seconds))


class Restarts:
    """The failures of one thing, by a clock, and what follows from them."""

    def __init__(self, policy: RestartPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        # More than the policy looks at would change nothing but the pause's length, which is bounded.
        self._failures: deque[float] = deque(maxlen=max(policy.max_failures, 64))
        self.num_failures = 0

    def failed(self) -> None:
        """It failed now."""
        self.num_failures += 1
        self._failures.append(self._clock.monotonic())

    def forgive(self) -> None:
        """Forget everything: somebody mended it."""
        self._failures.clear()

    @property
    def is_given_up(self) -> bool:
        """Whether it is not worth waiting for."""
        return is_given_up(self._failures, self._clock.monotonic(), self._policy)

    @property
    def wait_seconds(self) -> float:
        """From now until the next start is due; 0 when it is."""
        now = self._clock.monotonic()
        return next_start(self._failures, now, self._policy) - now
