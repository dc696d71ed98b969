"""Identifiers: a prefix that says what it names, then 128 random bits in base62."""

import secrets

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


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
    """A fresh identifier such as `req_7Jw...` from prefix `req_`."""
    return prefix + base62(secrets.randbits(128), width=22)
