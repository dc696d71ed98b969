"""Reads the header of a GGUF file and refuses what cannot be one, before any runtime is given the file.

Every count and offset is checked against the file's size, so that a hostile header costs no memory and no time.
"""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_FIELDS, _MAX_TENSORS = 65_536, 65_536
_MAX_KEY_BYTES, _MAX_DIMENSIONS, _MAX_ALIGNMENT = 65_535, 4, 1 << 16
_STRING, _ARRAY = 8, 9
# struct formats of the scalar types by their number: integers of 8 to 32 bits, float, bool, integers of 64 bits, double.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# (elements, bytes) of one block of each tensor type that we know; of others only the beginning is checked.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2),
}  # fmt: skip

Scalar = int | float | bool | str


class InvalidModelFile(Exception):
    """The file is no GGUF file that could be served. The message is a sentence for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """What a header says. `fields` has the scalars and texts; of an array only its length is kept."""

    version: int
    fields: Mapping[str, Scalar]
    array_lengths: Mapping[str, int]
    num_tensors: int
    num_parameters: int

    @property
    def architecture(self) -> str:
        return str(self.fields.get("general.architecture", ""))

    @property
    def context_length(self) -> int | None:
        """The window that the model was trained for; None when the file does not say."""
        length = self.fields.get(f"{self.architecture}.context_length")
        return length if isinstance(length, int) and length > 0 else None

    @property
    def cache_bytes_per_token(self) -> int:
        """What one token takes in the attention's cache, with keys and values of 16 bits; 0 when the file does not say."""
        num_heads = self._count("attention.head_count")
        if not num_heads:
            return 0
        # Where the figure differs from layer to layer the file has a list, and the most that it can be is assumed.
        num_cached_heads = self._count("attention.head_count_kv") or num_heads
        usual = self._count("embedding_length") // num_heads
        key = self._count("attention.key_length") or usual
        value = self._count("attention.value_length") or usual
        return 2 * self._count("block_count") * num_cached_heads * (key + value)

    def _count(self, name: str) -> int:
        value = self.fields.get(f"{self.architecture}.{name}")
        return value if isinstance(value, int) and value > 0 else 0

    @property
    def num_tokens(self) -> int:
        """Entries of the vocabulary; 0 when it has none."""
        return self.array_lengths.get("tokenizer.ggml.tokens", 0)


def read_header(path: Path) -> GgufHeader:
    """The header of the file at `path`. Raises InvalidModelFile; reads only as far as the header goes."""
    try:
        with path.open("rb") as file:
            if not path.is_file():
                raise InvalidModelFile(f"{path.name} is not a file.")
            size = path.stat().st_size
            if size < 24:
                raise InvalidModelFile(f"{path.name} is too short for a GGUF file.")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                return _read(_Cursor(view, size), path.name)
    except OSError as error:
        raise InvalidModelFile(f"{path.name} cannot be read: {error.strerror}.") from error


class _Cursor:
    """A place in the file that never goes past its end."""

    def __init__(self, view: mmap.mmap, size: int) -> None:
        self._view = view
        self.size = size
        self.position = 0

    def skip(self, length: int) -> int:
        """Move on by `length` bytes; the place before."""
        start = self.position
        if length > self.size - start:
            raise InvalidModelFile("The file ends inside its header.")
        self.position = start + length
        return start

    def scalar(self, kind: str) -> Scalar:
        layout = "<" + kind
        value: Scalar = struct.unpack_from(layout, self._view, self.skip(struct.calcsize(layout)))[0]
        return value

    def count(self, kind: str = "Q") -> int:
        return int(self.scalar(kind))

    def raw(self, length: int) -> bytes:
        start = self.skip(length)
        return self._view[start : start + length]

    def text(self, *, max_bytes: int | None = None) -> str:
        length = self.count()
        if max_bytes is not None and length > max_bytes:
            raise InvalidModelFile("A name in the header is too long.")
        try:
            return self.raw(length).decode()
        except UnicodeDecodeError as error:
            raise InvalidModelFile("A text in the header is not UTF-8.") from error


def _read(cursor: _Cursor, name: str) -> GgufHeader:
    if cursor.raw(4) != _MAGIC:
        raise InvalidModelFile(f"{name} is not a GGUF file.")
    version = cursor.count("I")
    if version not in _VERSIONS:
        raise InvalidModelFile(f"{name} has GGUF version {version}; 2 and 3 can be read.")
    num_tensors, num_fields = cursor.count(), cursor.count()
    if num_tensors > _MAX_TENSORS or num_fields > _MAX_FIELDS:
        raise InvalidModelFile("The header promises more entries than any model has.")
    fields: dict[str, Scalar] = {}
    array_lengths: dict[str, int] = {}
    for _ in range(num_fields):
        key = cursor.text(max_bytes=_MAX_KEY_BYTES)
        if key in fields or key in array_lengths:
            raise InvalidModelFile(f"The header has {key!r:.80} twice.")
        _read_value(cursor, key, fields, array_lengths)
    return GgufHeader(
        version=version,
        fields=fields,
        array_lengths=array_lengths,
        num_tensors=num_tensors,
        num_parameters=_read_tensors(cursor, num_tensors, _alignment(fields)),
    )


def _read_value(cursor: _Cursor, key: str, fields: dict[str, Scalar], array_lengths: dict[str, int]) -> None:
    kind = cursor.count("I")
    if kind == _STRING:
        fields[key] = cursor.text()
    elif kind in _SCALARS:
        fields[key] = cursor.scalar(_SCALARS[kind])
    elif kind == _ARRAY:
        item_kind, length = cursor.count("I"), cursor.count()
        array_lengths[key] = length
        if item_kind in _SCALARS:
            cursor.skip(length * struct.calcsize("<" + _SCALARS[item_kind]))
        elif item_kind == _STRING:
            # Each takes at least its length's 8 bytes, so a false count meets the end of the file, not of our patience.
            if length > (cursor.size - cursor.position) // 8:
                raise InvalidModelFile("The file ends inside its header.")
            for _ in range(length):
                cursor.skip(cursor.count())
        else:
            raise InvalidModelFile("The header holds an array of arrays, or of an unknown type.")
    else:
        raise InvalidModelFile(f"The header holds a value of the unknown type {kind}.")


def _alignment(fields: Mapping[str, Scalar]) -> int:
    alignment = fields.get("general.alignment", 32)
    if type(alignment) is not int or not 8 <= alignment <= _MAX_ALIGNMENT or alignment & (alignment - 1):
        raise InvalidModelFile("The header's alignment is not a power of two from 8 to 65536.")
    return alignment


def _read_tensors(cursor: _Cursor, num_tensors: int, alignment: int) -> int:
    """Check the table of tensors; the number of parameters in them."""
    num_parameters, names, ends = 0, set[str](), []
    for _ in range(num_tensors):
        names.add(cursor.text(max_bytes=_MAX_KEY_BYTES))
        num_dimensions = cursor.count("I")
        if not 0 < num_dimensions <= _MAX_DIMENSIONS:
            raise InvalidModelFile("A tensor has no dimensions, or too many.")
        elements = 1
        dimensions = [cursor.count() for _ in range(num_dimensions)]
        for dimension in dimensions:
            elements *= dimension
        kind, offset = cursor.count("I"), cursor.count()
        block_elements, block_bytes = _BLOCKS.get(kind, (1, 0))
        if not elements or dimensions[0] % block_elements:
            raise InvalidModelFile("A tensor's dimensions do not fit its type.")
        if offset % alignment:
            raise InvalidModelFile("A tensor does not begin at the header's alignment.")
        num_parameters += elements
        ends.append(offset + elements // block_elements * block_bytes)
    if len(names) != num_tensors:
        raise InvalidModelFile("Two tensors have the same name.")
    begin = -(-cursor.position // alignment) * alignment
    if ends and begin + max(ends) > cursor.size:
        raise InvalidModelFile("The file ends before its last tensor does; it is truncated or still being written.")
    return num_parameters
