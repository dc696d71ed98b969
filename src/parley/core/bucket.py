"""A token bucket: so much at once, refilled evenly. Pure and exact; the time is handed in."""

from dataclasses import dataclass

_NANO = 1_000_000_000


@dataclass(slots=True)
class Bucket:
    """`capacity` units, refilled in a window from empty to full. `now` is always monotonic seconds.

    What is in it is kept as a whole number of unit-nanoseconds, so that no rounding adds up over a million refills.
    It may fall below nothing: what was used beyond what was taken is owed.
    """

    capacity: int
    window_ns: int
    credit: int
    filled_ns: int

    @classmethod
    def full(cls, capacity: int, window_seconds: float, now: float) -> "Bucket":
        window_ns = int(window_seconds * _NANO)
        return cls(capacity, window_ns, capacity * window_ns, int(now * _NANO))

    def refill(self, now: float) -> None:
        """Bring it up to `now`; a time before the last one changes nothing."""
        now_ns = int(now * _NANO)
        if now_ns > self.filled_ns:
            most = self.capacity * self.window_ns
            self.credit = min(most, self.credit + (now_ns - self.filled_ns) * self.capacity)
            self.filled_ns = now_ns

    def resize(self, capacity: int) -> None:
        """From now on `capacity` units: as full as it is, or as deep in debt, in proportion. One that nothing fitted in is empty."""
        self.credit = self.credit * capacity // self.capacity if self.capacity else 0
        self.capacity = capacity

    def has(self, amount: int) -> bool:
        """Whether `amount` units are in it, as of the last refill."""
        return self.credit >= amount * self.window_ns

    def take(self, amount: int) -> None:
        """Take `amount` units, whether or not they are there; a negative amount is given back, up to the brim."""
        self.credit = min(self.credit - amount * self.window_ns, self.capacity * self.window_ns)

    def room(self, *, taken_of: int) -> int:
        """Whole units in it, in the measure of what was taken while it had room for `taken_of` units."""
        if self.credit <= 0:
            return 0
        return self.credit * taken_of // (self.capacity * self.window_ns)

    def take_more(self, amount: int, *, taken_of: int) -> None:
        """Take `amount` units of `room`, in the same measure."""
        if amount:
            self.credit -= amount * self.window_ns * self.capacity // taken_of

    def correct(self, amount: int, *, taken_of: int) -> None:
        """As `take`, for what was taken while it had room for `taken_of` units, which was resized since then with the rest.

        What was used beyond it is never more than it was.
        """
        units = amount * self.window_ns
        if taken_of and not (amount > 0 and self.capacity > taken_of):
            units = units * self.capacity // taken_of
        self.credit = min(self.credit - units, self.capacity * self.window_ns)

    @property
    def level(self) -> int:
        """Whole units in it; never below 0."""
        return max(0, self.credit // self.window_ns)

    def seconds_until(self, amount: int) -> float:
        """From the last refill until `amount` units are there, rounded up to a nanosecond."""
        if self.capacity == 0:
            return float(self.window_ns) / _NANO
        return max(0, -((self.credit - amount * self.window_ns) // self.capacity)) / _NANO
