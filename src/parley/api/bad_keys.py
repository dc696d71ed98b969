"""How many wrong keys one client address has sent lately: a token bucket each, in this process."""

from parley.core.clock import Clock
from parley.core.errors import RateLimited
from parley.domain.accounts.attempts import Attempts


class BadKeys:
    """`num_per_minute` wrong keys per address, refilled evenly. The addresses seen longest ago are forgotten first."""

    def __init__(self, clock: Clock, *, num_per_minute: int = 20, max_addresses: int = 10_000) -> None:
        self._attempts = Attempts(clock, most=num_per_minute, window_seconds=60.0, max_subjects=max_addresses)

    def count(self, address: str) -> None:
        """Count one wrong key. Raises RateLimited when the address has none left."""
        try:
            self._attempts.count(address)
        except RateLimited as refusal:
            raise RateLimited(
                "Too many requests with an incorrect API key came from your address. Please check your key.",
                kind="requests",
                code="rate_limit_exceeded",
                retry_after_seconds=refusal.retry_after_seconds,
            ) from None
