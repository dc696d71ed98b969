"""Pictures in prompts: as a client sent them, as they were decoded, and the places that they take among a prompt's tokens.

A model reads a picture as rows: numbers that its projector makes of a patch of it, and that stand where a token would.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

_CELL_BYTES = 8

# The long and the short side into which a picture is shrunk before anything reads it, as OpenAI documents it for its models.
LONGEST_SIDE, LONGEST_SHORT_SIDE = 2048, 768


class Detail(StrEnum):
    """How finely a picture is to be looked at, in OpenAI's words."""

    AUTO = "auto"
    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSource:
    """A picture's file as a client sent it, in base64. `param` is what a refusal calls it."""

    encoded: str
    detail: Detail
    param: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Picture:
    """Decoded: `pixels` has three bytes (red, green, blue) for each, line by line from the top."""

    width: int
    height: int
    pixels: bytes

    @property
    def digest(self) -> bytes:
        """The same for the same pixels in the same shape, and for no others."""
        return hashlib.sha256(f"{self.width} {self.height} ".encode() + self.pixels).digest()


@dataclass(frozen=True, slots=True)
class Marks:
    """Tokens of the model's own that stand around pictures, or between parts of one."""

    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """`count` rows, which take `num_positions` of the model's positions.

    With `columns` they stand in lines of so many, and their positions tell line and column; without, one row follows
    another as tokens do. Rows that are not causal see each other all, so that they are read in one step.
    """

    count: int
    num_positions: int
    columns: int | None = None
    is_causal: bool = True


# What stands in a prompt for a picture of some size, from its first mark to its last.
Layout = Sequence[Marks | Rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Rows among a prompt's cells, from the cell `start` on."""

    start: int
    rows: Rows

    @property
    def end(self) -> int:
        return self.start + self.rows.count


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPicture:
    """A picture in a prompt; `spans` are where its rows stand, in the order in which its projector makes them."""

    picture: Picture
    spans: tuple[Span, ...]


class Vision(Protocol):
    """What sees for one set of weights: its projector. Raises EngineFailed when it is gone."""

    async def lay_out(self, width: int, height: int) -> Layout:
        """What a picture of this size takes in a prompt. Raises InvalidRequest for a size that the model cannot read."""
        ...

    async def most_together(self) -> int:
        """The most rows that see each other in any picture that `lay_out` takes; 0 where rows are read like tokens."""
        ...

    async def look(self, picture: Picture, *, salt: str) -> bytes:
        """Its rows, one after another, as 32-bit floats. What is kept of them serves only those with the same salt."""
        ...


def place(picture: Picture, layout: Layout, *, start: int) -> tuple[tuple[int, ...], PlacedPicture]:
    """The cells of a picture that stands behind `start` others, and where its rows are among all of them.

    A cell is a token's id, or for a row a negative number, which is drawn from the picture's digest: two prompts have the
    same cells exactly where they have the same tokens and the same pictures.
    """
    cells: list[int] = []
    spans: list[Span] = []
    drawn = _negative_numbers(picture.digest, sum(part.count for part in layout if isinstance(part, Rows)))
    for part in layout:
        if isinstance(part, Marks):
            cells.extend(part.token_ids)
            continue
        spans.append(Span(start=start + len(cells), rows=part))
        cells.extend(next(drawn) for _ in range(part.count))
    return tuple(cells), PlacedPicture(picture=picture, spans=tuple(spans))


def _negative_numbers(digest: bytes, count: int) -> Iterator[int]:
    """Numbers from -2**63 to -1 that follow from a digest."""
    stream = hashlib.shake_256(digest).digest(_CELL_BYTES * count)
    for position in range(0, len(stream), _CELL_BYTES):
        yield -1 - int.from_bytes(stream[position : position + _CELL_BYTES], "big") // 2
