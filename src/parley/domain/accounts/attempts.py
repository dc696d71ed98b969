"""How often somebody may try: a bucket for each subject (an address, an account), in this process."""

from collections import OrderedDict

from parley.core.bucket import Bucket
from parley.core.clock import Clock
from parley.core.errors import RateLimited


class Attempts:
    """`most` tries in `window_seconds` for each subject, refilled evenly. The subjects seen longest ago are forgotten first.

    Nothing of it is stored, so no store can be down; several servers count apart.
    """

    def __init__(self, clock: Clock, *, most: int, window_seconds: float, max_subjects: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._window_seconds = window_seconds
        self._max_subjects = max_subjects
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def count(self, subject: str) -> None:
        """Count one try. Raises RateLimited when the subject has none left."""
        now = self._clock.monotonic()
        bucket = self._buckets.pop(subject, None) or Bucket.full(self._most, self._window_seconds, now)
        bucket.refill(now)
        self._buckets[subject] = bucket
        if len(self._buckets) > self._max_subjects:
            self._buckets.popitem(last=False)
        if not bucket.has(1):
            raise RateLimited(
                "Too many attempts. Please try again later.",
                kind="requests",
                code="rate_limit_exceeded",
                retry_after_seconds=bucket.seconds_until(1),
            )
        bucket.take(1)

    def forget(self, subject: str) -> None:
        """Start over with a subject: it has shown that it may."""
        self._buckets.pop(subject, None)
