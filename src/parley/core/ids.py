"""Identifiers: a prefix that says what it names, then 22 random base62 digits."""

import os
import secrets

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Byte -> digit. 256 is no multiple of 62, so eight digits come a little more often: 22 of them hold 130 bits all the same.
_DIGIT_OF_BYTE = bytes(ord(_ALPHABET[byte % 62]) for byte in range(256))


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
    """A fresh identifier such as `req_7Jw...` from prefix `req_`. Three are made for each request, so it is quick."""
    return prefix + os.urandom(22).translate(_DIGIT_OF_BYTE).decode("ascii")
