"""How long steps take, pauses left out."""

import time
from collections.abc import Callable

# A step that took longer was suspended with its machine or its process; the rest of that time was no training.
LONGEST_STEP_SECONDS = 10.0


class Stopwatch:
    """Measures from one lap to the next. `now` gives seconds that never go back."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last = now()

    def restart(self) -> None:
        """What passed since the last lap does not count."""
        self._last = self._now()

    def lap(self) -> float:
        """Seconds since the last lap or restart, at most `LONGEST_STEP_SECONDS`."""
        last, self._last = self._last, self._now()
        return min(self._last - last, LONGEST_STEP_SECONDS)
