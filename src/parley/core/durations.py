"""Durations as OpenAI writes them in headers and refusals."""

import math


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
