"""Where limits are counted: in this process. Several servers will share a store of the same few verbs."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from parley.core.bucket import Bucket
from parley.core.limits import Level
from parley.domain.limits.model import Debit

# Buckets that are forgotten first are those unused for longest; each is full again after a day at most.
_MAX_BUCKETS = 200_000


class Counters(Protocol):
    """Counts what limits are about. Each verb is one atomic step."""

    def take(self, debits: Sequence[Debit], now: float) -> int | None:
        """Take all of them, and return None; or take nothing, and return the index of the first that is not there."""
        ...

    def take_more(self, debits: Sequence[Debit], amount: int, now: float) -> int:
        """Take up to `amount` units more from each of these that were taken, as many from all; how many there were.

        A limit that was changed since the debit stays as it was changed.
        """
        ...

    def correct(self, debits: Sequence[Debit], now: float) -> None:
        """Take what turned out to be used more, or give back what was not used (a negative amount).

        A limit that was changed since the debit stays as it was changed.
        """
        ...

    def level(self, debit: Debit) -> Level:
        """How the limit of a debit stands since it was last asked for."""
        ...

    def seconds_until(self, debit: Debit) -> float:
        """When a debit that was not there will be."""
        ...

    def enter(self, name: tuple[str, ...], limit: int) -> bool:
        """Take one of `limit` places; False: there is none."""
        ...

    def leave(self, name: tuple[str, ...]) -> None:
        """Give a place back."""
        ...


class ProcessCounters:
    """Counters in memory, for one process. A restart fills every bucket."""

    def __init__(self, *, max_buckets: int = _MAX_BUCKETS) -> None:
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[tuple[str, ...], Bucket] = OrderedDict()
        self._places: dict[tuple[str, ...], int] = {}

    def take(self, debits: Sequence[Debit], now: float) -> int | None:
        """See Counters."""
        buckets = [self._filled(debit, now) for debit in debits]
        for bucket, debit in zip(buckets, debits, strict=True):
            if bucket.capacity != debit.capacity:
                bucket.resize(debit.capacity)
        for index, debit in enumerate(debits):
            # Who needs none of it (a recording takes no tokens) may come although some are owed.
            if debit.amount and not buckets[index].has(debit.amount):
                return index
        for bucket, debit in zip(buckets, debits, strict=True):
            bucket.take(debit.amount)
        return None

    def take_more(self, debits: Sequence[Debit], amount: int, now: float) -> int:
        """See Counters."""
        buckets = [self._filled(debit, now) for debit in debits]
        for bucket, debit in zip(buckets, debits, strict=True):
            amount = min(amount, bucket.room(taken_of=debit.capacity))
        for bucket, debit in zip(buckets, debits, strict=True):
            bucket.take_more(amount, taken_of=debit.capacity)
        return amount

    def correct(self, debits: Sequence[Debit], now: float) -> None:
        """See Counters."""
        for debit in debits:
            self._filled(debit, now).correct(debit.amount, taken_of=debit.capacity)

    def level(self, debit: Debit) -> Level:
        """See Counters."""
        bucket = self._buckets[debit.bucket]
        return Level(limit=debit.capacity, remaining=bucket.level, reset_seconds=bucket.seconds_until(bucket.capacity))

    def seconds_until(self, debit: Debit) -> float:
        """See Counters."""
        return self._buckets[debit.bucket].seconds_until(debit.amount)

    def enter(self, name: tuple[str, ...], limit: int) -> bool:
        """See Counters."""
        num = self._places.get(name, 0)
        if num >= limit:
            return False
        self._places[name] = num + 1
        return True

    def leave(self, name: tuple[str, ...]) -> None:
        """See Counters."""
        num = self._places.get(name, 0) - 1
        if num > 0:
            self._places[name] = num
        else:
            self._places.pop(name, None)

    def _filled(self, debit: Debit, now: float) -> Bucket:
        bucket = self._buckets.get(debit.bucket)
        if bucket is None:
            bucket = self._buckets[debit.bucket] = Bucket.full(debit.capacity, debit.meter.window_seconds, now)
            if len(self._buckets) > self._max_buckets:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(debit.bucket)
        bucket.refill(now)
        return bucket
