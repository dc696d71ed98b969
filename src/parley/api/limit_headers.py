"""The six `x-ratelimit-*` headers, from the decision that was just made."""

from parley.core.durations import duration
from parley.core.limits import Level, Levels

# Where nothing limits: clients that steer by these headers read a number here, and this one never slows them down.
_UNLIMITED = Level(limit=1_000_000_000, remaining=1_000_000_000, reset_seconds=0.0)


def limit_headers(levels: Levels) -> list[tuple[bytes, bytes]]:
    """The headers, in OpenAI's names and duration strings."""
    requests, tokens = levels.requests or _UNLIMITED, levels.tokens or _UNLIMITED
    return [
        (b"x-ratelimit-limit-requests", b"%d" % requests.limit),
        (b"x-ratelimit-limit-tokens", b"%d" % tokens.limit),
        (b"x-ratelimit-remaining-requests", b"%d" % requests.remaining),
        (b"x-ratelimit-remaining-tokens", b"%d" % tokens.remaining),
        (b"x-ratelimit-reset-requests", duration(requests.reset_seconds).encode()),
        (b"x-ratelimit-reset-tokens", duration(tokens.reset_seconds).encode()),
    ]
