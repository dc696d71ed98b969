"""Whole characters only, and never a part of a stop string, wherever the tokens are cut."""

from hypothesis import given
from hypothesis import strategies as st

from parley.core.assembler import TextAssembler


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, position = [], 0
    for size in sizes:
        pieces.append(data[position : position + size])
        position += size
    return [*pieces, data[position:]]


@given(st.text(), st.lists(st.integers(1, 5)))
def test_text_arrives_whole_however_it_is_cut(text, sizes):
    assembler = TextAssembler()
    parts = [assembler.push(piece) for piece in cut(text.encode(), sizes)]
    assert "".join(parts) + assembler.flush() == text
    assert not any("\ufffd" in part for part in parts) or "\ufffd" in text


@given(
    st.text("ab\u00e9"), st.lists(st.text("ab\u00e9", min_size=1, max_size=3), max_size=4), st.lists(st.integers(1, 3))
)
def test_the_first_stop_string_ends_the_text_and_is_never_shown(text, stops, sizes):
    assembler = TextAssembler(stops)
    shown = ""
    for piece in cut(text.encode(), sizes):
        shown += assembler.push(piece)
    shown += assembler.flush()
    assert not any(stop in shown for stop in stops)
    assert text.startswith(shown)
    assert assembler.is_stopped == any(stop in text for stop in stops)
    if not assembler.is_stopped:
        assert shown == text


def test_a_possible_beginning_is_held_until_it_is_decided():
    assembler = TextAssembler(["STOP"])
    assert assembler.push(b"go ST") == "go "
    assert assembler.push(b"AY") == "STAY"
    assert assembler.push(b"ST") == ""
    assert assembler.flush() == "ST"


def test_a_broken_character_at_the_end_becomes_a_replacement():
    assembler = TextAssembler()
    assert assembler.push("é".encode()[:1]) == ""
    assert assembler.flush() == "\ufffd"
