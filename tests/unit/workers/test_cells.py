"""Prompts of tokens and rows: which position each cell has, what is read together, and what no model can read."""

import numpy as np
import pytest

from parley.core.picture import Rows, Span
from parley.workers.cells import Cells
from parley.workers.context import RowPlaces

# Six rows in lines of three, which take three positions; then two rows one after another.
GRID = Span(start=2, rows=Rows(count=6, num_positions=3, columns=3))
LINE = Span(start=10, rows=Rows(count=2, num_positions=2))
NUMBERS = [1, 2, *range(-6, 0), 3, 4, -8, -7, 5]


def cells() -> Cells:
    embedded = np.arange(8 * 4, dtype=np.float32).reshape(8, 4)
    return Cells(NUMBERS, (GRID, LINE), embedded)


def checked(prompt: Cells, *, num_tokens: int = 10, row_width: int = 4, most_rows: int = 8) -> None:
    prompt.check(num_tokens=num_tokens, row_width=row_width, most_rows=most_rows)


def test_positions_are_counted_on_behind_a_picture_by_what_it_takes() -> None:
    prompt = cells()
    assert [prompt.position(index) for index in (0, 1, 2, 8, 9, 10, 12)] == [0, 1, 2, 5, 6, 7, 9]
    assert prompt.num_positions == 10
    assert Cells([1, 2, 3]).num_positions == 3


def test_a_step_reads_tokens_or_rows_of_one_picture() -> None:
    prompt = cells()
    assert [prompt.portion_length(start, 100) for start in (0, 1, 2, 8, 10, 12)] == [2, 1, 6, 2, 2, 1]
    assert prompt.portion_length(2, 4) == 4
    assert prompt.portion_length(6, 100) == 2


def test_rows_that_see_each_other_are_read_together_however_many_they_are() -> None:
    together = Span(start=1, rows=Rows(count=6, num_positions=6, is_causal=False))
    prompt = Cells([1, *range(-6, 0), 2], (together,), np.zeros((6, 4), dtype=np.float32))
    assert [prompt.portion_length(start, 4) for start in (0, 1, 7)] == [1, 6, 1]


def test_what_is_shared_never_ends_among_rows() -> None:
    prompt = cells()
    assert [prompt.whole(count) for count in (0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13)] == [
        0, 1, 2, 2, 2, 8, 9, 10, 10, 12, 13,
    ]  # fmt: skip


def test_rows_come_with_their_places() -> None:
    prompt = cells()
    assert prompt.rows(0, 2) is None
    assert prompt.rows(8, 2) is None
    first, rest, line = prompt.rows(2, 4), prompt.rows(6, 2), prompt.rows(10, 2)
    assert first is not None
    assert rest is not None
    assert line is not None
    assert first.embedded[:, 0].tolist() == [0, 4, 8, 12]
    assert rest.embedded[:, 0].tolist() == [16, 20]
    assert line.embedded[:, 0].tolist() == [24, 28]
    assert (first.places.first, rest.places.offset, line.places.first) == (2, 4, 7)


def test_rows_in_lines_stand_still_in_time_and_tell_line_and_column() -> None:
    places = RowPlaces(rows=GRID.rows, first=2, offset=2)
    assert places.positions(3, 4).tolist() == [[2, 2, 2], [2, 3, 3], [4, 2, 3], [0, 0, 0]]


def test_rows_one_after_another_are_placed_as_tokens_are() -> None:
    places = RowPlaces(rows=LINE.rows, first=7, offset=1)
    assert places.positions(1, 1).tolist() == [[8]]
    assert places.positions(1, 4).tolist() == [[8]] * 4


def test_a_sound_prompt_passes() -> None:
    checked(cells())
    checked(Cells([1, 2]))


@pytest.mark.parametrize(
    ("numbers", "spans", "shape", "why"),
    [
        ([1, 10], (), None, "outside the vocabulary"),
        ([1, -1], (), None, "outside the vocabulary"),
        (NUMBERS, (LINE,), (2, 4), "outside the vocabulary"),
        (NUMBERS, (GRID, LINE), (8, 5), "not of this model"),
        (NUMBERS, (GRID, LINE), (7, 4), "not of this model"),
        (NUMBERS, (GRID, LINE), None, "not of this model"),
        ([1, -1], (Span(start=1, rows=Rows(count=2, num_positions=2)),), (2, 4), "outside of the prompt"),
        ([1, -1], (Span(start=-1, rows=Rows(count=2, num_positions=2)),), (2, 4), "outside of the prompt"),
        ([-1] * 9, (Span(start=0, rows=Rows(count=9, num_positions=9, is_causal=False)),), (9, 4), "belong together"),
    ],
)
def test_what_no_model_can_read_is_refused(
    numbers: list[int], spans: tuple[Span, ...], shape: tuple[int, int] | None, why: str
) -> None:
    prompt = Cells(numbers, spans, None if shape is None else np.zeros(shape, dtype=np.float32))
    with pytest.raises(ValueError, match=why):
        checked(prompt)
