"""The cells of pictures: the same for the same picture, never those of another, and none that could be a token."""

from hypothesis import given
from hypothesis import strategies as st

from parley.core.picture import Marks, Picture, Rows, Span, place

LAYOUT = (Marks((7, 8)), Rows(count=3, num_positions=3), Marks((9,)), Rows(count=2, num_positions=1, columns=2))


def shown(pixels: bytes, width: int = 1) -> Picture:
    return Picture(width=width, height=len(pixels) // 3 // width, pixels=pixels)


def test_marks_are_tokens_and_rows_are_none() -> None:
    cells, placed = place(shown(b"abc"), LAYOUT, start=10)
    assert (cells[:2], cells[5]) == ((7, 8), 9)
    assert all(-(2**63) <= cell < 0 for cell in (*cells[2:5], *cells[6:]))
    assert placed.spans == (Span(start=12, rows=LAYOUT[1]), Span(start=16, rows=LAYOUT[3]))


def test_the_same_picture_has_the_same_cells_wherever_it_stands() -> None:
    first, _ = place(shown(b"abc"), LAYOUT, start=0)
    again, _ = place(shown(b"abc"), LAYOUT, start=99)
    assert first == again


def test_a_shape_is_part_of_what_a_picture_is() -> None:
    upright, _ = place(shown(b"abcabc", width=1), LAYOUT, start=0)
    lying, _ = place(shown(b"abcabc", width=2), LAYOUT, start=0)
    assert not set(upright[2:5]) & set(lying[2:5])


@given(st.binary(min_size=3, max_size=3), st.binary(min_size=3, max_size=3))
def test_no_row_of_one_picture_is_a_row_of_another(one: bytes, other: bytes) -> None:
    rows = [set(place(shown(pixels), LAYOUT[1:2], start=0)[0]) for pixels in (one, other)]
    assert (rows[0] == rows[1]) is (one == other)
    assert bool(rows[0] & rows[1]) is (one == other)
    assert len(rows[0]) == 3
