"""When to try again: after a broken connection or a busy server, a few times, each time later."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp

from parley.core.clock import Clock, SystemClock
from parley.infra.fetch import ConnectionLost, FetchFailed, Unreachable

T = TypeVar("T")
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_MAX_PAUSE_SECONDS = 120.0


class TryLater(FetchFailed):
    """The server is busy. `after_seconds` is its wish; None where it has none."""

    def __init__(self, message: str, *, after_seconds: float | None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often, and how long. `pause` waits; tests hand in one that does not."""

    max_failures: int = 5
    # A stretch of a download that brought less than this counts as a failure, though bytes came.
    min_progress_bytes: int = 1 << 20
    # A body slower than this on average over the window is given up, as if its connection had broken.
    min_bytes_per_second: float = 1024.0
    window_seconds: float = 30.0
    # For a hub's list of a repository, from the first byte to the last.
    listing_seconds: float = 60.0
    clock: Clock = field(default_factory=SystemClock)
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def wait(self, failure: FetchFailed, num_failures: int) -> None:
        """Wait before the next try: as long as the server wishes, else 1, 2, 4 … seconds."""
        wished = failure.after_seconds if isinstance(failure, TryLater) else None
        await self.pause(min(2.0 ** (num_failures - 1) if wished is None else wished, _MAX_PAUSE_SECONDS))


def try_later(response: aiohttp.ClientResponse, name: str) -> TryLater | None:
    """The failure that a busy server's answer is; None for an answer that will not change."""
    if response.status not in _BUSY:
        return None
    wished = response.headers.get("Retry-After", "")
    return TryLater(
        f"{response.url.host} is too busy for {name} (HTTP {response.status}); try again later",
        after_seconds=float(wished) if wished.isdecimal() and len(wished) < 6 else None,
    )


async def retried(action: Callable[[], Awaitable[T]], patience: Patience) -> T:
    """What the action returns, tried again while only the connection or the server's load is at fault.

    Where no connection can be made at all there is most likely no network, and nobody is kept waiting for that word.
    """
    num_failures = 0
    while True:
        try:
            return await action()
        except Unreachable:
            raise
        except (ConnectionLost, TryLater) as failure:
            num_failures += 1
            if num_failures >= patience.max_failures:
                raise
            await patience.wait(failure, num_failures)
