"""How many wrong keys one client address has sent lately: a token bucket each, in this process."""

from collections import OrderedDict
from dataclasses import dataclass

from parley.core.clock import Clock
from parley.core.errors import RateLimited


@dataclass(slots=True)
class _Bucket:
    num_left: float
    filled_at: float


class BadKeys:
    """`num_per_minute` wrong keys per address, refilled evenly. The addresses seen longest ago are forgotten first.

    Nothing of it is stored, so no store can be down; several servers count apart.
    """

    def __init__(self, clock: Clock, *, num_per_minute: int = 20, max_addresses: int = 10_000) -> None:
        self._clock = clock
        self._capacity = num_per_minute
        self._max_addresses = max_addresses
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def count(self, address: str) -> None:
        """Count one wrong key. Raises RateLimited when the address has none left."""
        now = self._clock.monotonic()
        bucket = self._buckets.pop(address, None) or _Bucket(self._capacity, now)
        bucket.num_left = min(self._capacity, bucket.num_left + (now - bucket.filled_at) * self._capacity / 60)
        bucket.filled_at = now
        self._buckets[address] = bucket
        if len(self._buckets) > self._max_addresses:
            self._buckets.popitem(last=False)
        if bucket.num_left < 1:
            raise RateLimited(
                "Too many requests with an incorrect API key came from your address. Please check your key.",
                kind="requests",
                code="rate_limit_exceeded",
                retry_after_seconds=(1 - bucket.num_left) * 60 / self._capacity,
            )
        bucket.num_left -= 1
