"""The messages between Parley and a worker program: a JSON header and raw bytes, both with their length in front.

The raw part carries what would be slow as JSON: texts, arrays of ids, arrays of numbers.
"""

import json
import struct
from collections.abc import Mapping
from typing import BinaryIO

# Lengths of the header and of the raw part, unsigned, big-endian.
LENGTHS = struct.Struct(">II")
# No honest message is longer; a longer one means that the other side is broken.
MAX_PART_BYTES = 1 << 30

Header = dict[str, object]


class BrokenChannel(Exception):
    """The other side closed the channel inside a message, or sent what is no message."""


def pack(header: Mapping[str, object], raw: bytes = b"") -> bytes:
    """One message as bytes."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return LENGTHS.pack(len(text), len(raw)) + text + raw


def unpack_lengths(prefix: bytes | bytearray) -> tuple[int, int]:
    """The lengths of header and raw part; refuses what cannot be a message before anything is allocated."""
    header_length, raw_length = LENGTHS.unpack(prefix)
    if header_length > MAX_PART_BYTES or raw_length > MAX_PART_BYTES:
        raise BrokenChannel(f"a message of {header_length} and {raw_length} bytes")
    return header_length, raw_length


def unpack_header(text: bytes | bytearray) -> Header:
    try:
        header = json.loads(text)
    except ValueError as error:
        raise BrokenChannel("a header that is not JSON") from error
    if not isinstance(header, dict):
        raise BrokenChannel("a header that is not an object")
    return header


def read_message(stream: BinaryIO) -> tuple[Header, bytes] | None:
    """The next message of a blocking stream; None when it ended between messages."""
    prefix = stream.read(LENGTHS.size)
    if not prefix:
        return None
    if len(prefix) < LENGTHS.size:
        raise BrokenChannel("ended inside a length")
    header_length, raw_length = unpack_lengths(prefix)
    text, raw = stream.read(header_length), stream.read(raw_length)
    if len(text) < header_length or len(raw) < raw_length:
        raise BrokenChannel("ended inside a message")
    return unpack_header(text), raw
