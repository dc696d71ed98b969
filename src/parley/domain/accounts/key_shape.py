"""What a key looks like, so that a scanner can tell one from any other text without a look-up."""

import re
import zlib
from collections.abc import Iterator

from parley.core.ids import base62, random_base62

_PREFIX = "sk-"
_NUM_RANDOM = 30
_NUM_CHECKSUM = 6
_DIGITS = rf"[0-9A-Za-z]{{{_NUM_RANDOM + _NUM_CHECKSUM}}}"
_KEY = re.compile(_PREFIX + _DIGITS)
# Whatever stands around it, such as an escape that ends with a letter: the checksum tells a key. Only the prefix is
# passed by, so that what looks like a key hides none that begins in it.
_CANDIDATE = re.compile(rf"{_PREFIX}(?=({_DIGITS}))")


def new_secret() -> str:
    """A fresh key: `sk-`, 30 random base62 digits (178 bits), and the CRC-32 of all that in 6 base62 digits."""
    body = _PREFIX + random_base62(_NUM_RANDOM)
    return body + _checksum(body)


def has_valid_checksum(secret: str) -> bool:
    """Whether a text is a key that `new_secret` could have made."""
    body, checksum = secret[:-_NUM_CHECKSUM], secret[-_NUM_CHECKSUM:]
    return _KEY.fullmatch(secret) is not None and checksum == _checksum(body)


def find_secrets(text: str) -> Iterator[tuple[int, str]]:
    """Every key in `text` with the offset of its first character."""
    for found in _CANDIDATE.finditer(text):
        secret = _PREFIX + found[1]
        if has_valid_checksum(secret):
            yield found.start(), secret


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode("ascii")), width=_NUM_CHECKSUM)
