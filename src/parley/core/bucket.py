"""A token bucket: so much at once, refilled evenly. Pure; the time is handed in."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """`capacity` units, refilled in `window_seconds` from empty to full. `now` is always monotonic seconds.

    `level` may fall below 0: what was used beyond what was taken is owed.
    """

    capacity: float
    window_seconds: float
    level: float
    filled_at: float

    @classmethod
    def full(cls, capacity: float, window_seconds: float, now: float) -> "Bucket":
        return cls(capacity, window_seconds, capacity, now)

    def refill(self, now: float) -> None:
        """Bring `level` up to `now`; a time before the last one changes nothing."""
        if now > self.filled_at:
            self.level = min(self.capacity, self.level + (now - self.filled_at) * self.capacity / self.window_seconds)
            self.filled_at = now

    def seconds_until(self, amount: float) -> float:
        """How long from the last refill until `amount` is there; never shorter than 0."""
        return max(0.0, (amount - self.level) * self.window_seconds / self.capacity)
