"""A prompt as the model reads it: cells that are tokens, cells that are rows of pictures, and the position of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from parley.core.picture import Span
from parley.workers.context import RowPlaces

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPortion:
    """Some rows of a picture, to be read in a step of their own."""

    embedded: Floats
    places: RowPlaces


class Cells:
    """The cells of one prompt (`core.picture.place`) with the rows of its pictures, which `spans` say where to read."""

    def __init__(
        self, numbers: Sequence[int] | Numbers, spans: Sequence[Span] = (), embedded: Floats | None = None
    ) -> None:
        """`embedded` has a line for each row, over all spans."""
        self.numbers: Numbers = np.asarray(numbers, dtype=np.int64)
        self._spans = tuple(spans)
        self._embedded = embedded
        # By span: how many rows the spans before it have, and how many positions more than cells those before it take.
        self._rows_before: list[int] = []
        self._shifts: list[int] = []
        rows = shift = 0
        for span in self._spans:
            self._rows_before.append(rows)
            self._shifts.append(shift)
            rows, shift = rows + span.rows.count, shift + span.rows.num_positions - span.rows.count
        self.num_positions = len(self.numbers) + shift

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def has_pictures(self) -> bool:
        return bool(self._spans)

    def check(self, *, num_tokens: int, row_width: int, most_rows: int) -> None:
        """Raise ValueError for what a model of this vocabulary and width, that reads `most_rows` in a step, cannot read."""
        is_row = np.zeros(len(self), dtype=bool)
        for span in self._spans:
            if not 0 <= span.start < span.end <= len(self):
                raise ValueError("rows outside of the prompt")
            if not span.rows.is_causal and span.rows.count > most_rows:
                raise ValueError(f"{span.rows.count} rows that belong together; {most_rows} can be read in a step")
            is_row[span.start : span.end] = True
        ids = self.numbers[~is_row]
        if len(ids) and (ids.min() < 0 or ids.max() >= num_tokens):
            raise ValueError("an id outside the vocabulary")
        shape = (int(is_row.sum()), row_width)
        if self._spans and (self._embedded is None or self._embedded.shape != shape):
            raise ValueError("rows that are not of this model")

    def position(self, index: int) -> int:
        """The position of the cell `index`, which is a token or a picture's first row, or one behind the last."""
        shift = 0
        for span, before in zip(self._spans, self._shifts, strict=True):
            if index >= span.end:
                shift = before + span.rows.num_positions - span.rows.count
        return index + shift

    def whole(self, count: int) -> int:
        """The most of the first `count` cells that does not end among the rows of a picture."""
        return next((span.start for span in self._spans if span.start < count < span.end), count)

    def portion_length(self, start: int, room: int) -> int:
        """How many cells from `start` on can be read in one step: either tokens or rows, up to `room`, or all rows that see
        each other."""
        for span in self._spans:
            if span.start <= start < span.end and not span.rows.is_causal:
                return span.end - start
            if start < span.end:
                return min(room, (span.start if start < span.start else span.end) - start)
        return min(room, len(self) - start)

    def rows(self, start: int, count: int) -> RowPortion | None:
        """What the cells from `start` on are, where they are rows; None where they are tokens."""
        for span, before in zip(self._spans, self._rows_before, strict=True):
            if span.start <= start < span.end and self._embedded is not None:
                offset = start - span.start
                return RowPortion(
                    embedded=self._embedded[before + offset : before + offset + count],
                    places=RowPlaces(rows=span.rows, first=self.position(span.start), offset=offset),
                )
        return None
