"""Durations as OpenAI writes them in headers and refusals, and days as our commands write them."""

import math
from datetime import UTC, datetime

# The last second that a calendar has, of the year 9999, in seconds since the epoch.
MAX_TIME = 253_402_300_799
MAX_LIFETIME_DAYS = 36_500


def day(seconds: float) -> str:
    """The day (UTC) of a time in seconds since the epoch, as 2023-03-01; what lies beyond the calendar is `never`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d") if seconds <= MAX_TIME else "never"


def minute(seconds: float) -> str:
    """The same with the minute, as 2023-03-01 09:30 UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC") if seconds <= MAX_TIME else "never"


def duration(seconds: float) -> str:
    """`12ms`, `1.2s`, `6m0s`, `2h3m0s`. Rounded up: who waits so long is let in."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:g}s"
    minutes, seconds_left = divmod(math.ceil(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds_left}s" if hours else f"{minutes}m{seconds_left}s"
