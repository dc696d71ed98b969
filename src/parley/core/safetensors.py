"""Safetensors files: where each tensor of a checkpoint lies, checked before a byte of it is believed."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_MOST_HEADER_BYTES = 100 << 20
_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


class InvalidTensors(Exception):
    """The file is no safetensors file, or holds what is not understood; the message is for its owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor. `kind` is as the format writes it; `offset` counts from the beginning of the file."""

    kind: str
    shape: tuple[int, ...]
    offset: int


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file by name. Raises InvalidTensors."""
    try:
        num_bytes = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MOST_HEADER_BYTES, num_bytes - 8):
                raise InvalidTensors(f"{path.name} is no safetensors file")
            header = json.loads(file.read(length))
        return {
            str(name): _tensor(path, str(name), entry, 8 + length, num_bytes)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
        raise InvalidTensors(f"{path.name} cannot be read: {error!r}") from None


def _tensor(path: Path, name: str, entry: Mapping[str, object], start: int, num_bytes: int) -> Tensor:
    kind, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if (
        not isinstance(shape, list)
        or not isinstance(place, list)
        or not all(type(each) is int for each in shape + place)
    ):
        raise InvalidTensors(f"{path.name} describes {name[:100]!r} in a way that is not understood")
    if kind not in _ITEM_BYTES:
        raise InvalidTensors(f"{path.name} holds {name[:100]!r} as {kind}; floating-point numbers are understood")
    first, last = place
    size = math.prod(shape) * _ITEM_BYTES[str(kind)]
    if min(shape, default=0) < 0 or not 0 <= first <= last <= num_bytes - start or last - first != size:
        raise InvalidTensors(f"{path.name} is not as long as {name[:100]!r} needs it to be")
    return Tensor(kind=str(kind), shape=tuple(shape), offset=start + first)
