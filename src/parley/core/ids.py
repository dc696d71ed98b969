"""Identifiers: a prefix that says what it names, then 22 base62 digits: random ones, or 8 of time before 14 random ones."""

import os
import secrets
from collections import deque
from functools import lru_cache

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Enough for milliseconds until the year 8893.
_TIME_DIGITS = 8
# Byte -> digit. 256 is no multiple of 62, so eight digits come a little more often: 22 of them hold 130 bits all the same.
_DIGIT_OF_BYTE = bytes(ord(_ALPHABET[byte % 62]) for byte in range(256))
# The system is asked for this many at a time; each is handed out once, whichever thread asks.
_NUM_DRAWN = 64
_MAX_DIGITS = 22
_drawn: deque[str] = deque()


def base62(number: int, *, width: int) -> str:
    """`number` in base62, padded with zeros to `width` digits; more digits when it needs them."""
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = _ALPHABET[rest] + digits
    return digits.rjust(width, "0")


def random_base62(length: int) -> str:
    """`length` base62 digits, each drawn evenly from the system's random source."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_id(prefix: str) -> str:
    """A fresh identifier such as `key_7Jw...` from prefix `key_`. Two are made for each request, so it is quick."""
    return prefix + _random_digits(_MAX_DIGITS)


def new_ordered_id(prefix: str, now: float) -> str:
    """As `new_id`, and sorts behind those made a millisecond before; `now` is in seconds since the epoch.

    For what is kept by the thousand under such a key: rows that come together stand together in an index.
    """
    slow, last = divmod(int(now * 1000), 62)
    return prefix + _slow_digits(slow) + _ALPHABET[last] + _random_digits(_MAX_DIGITS - _TIME_DIGITS)


@lru_cache(maxsize=1)
def _slow_digits(slow: int) -> str:
    """All digits of the time but the last: they stay the same for 62 ms."""
    return base62(slow, width=_TIME_DIGITS - 1)


def _random_digits(length: int) -> str:
    try:
        return _drawn.popleft()[:length]
    except IndexError:
        digits = os.urandom(_NUM_DRAWN * _MAX_DIGITS).translate(_DIGIT_OF_BYTE).decode("ascii")
        _drawn.extend(digits[at : at + _MAX_DIGITS] for at in range(_MAX_DIGITS, len(digits), _MAX_DIGITS))
        return digits[:length]
