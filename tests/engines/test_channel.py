"""Messages between Parley and its workers: what goes in comes out, and nonsense is refused before it costs memory."""

import io
import struct

import pytest

from parley.core.channel import BrokenChannel, pack, read_message
from parley.core.pieces import Pieces, pack_pieces


def test_messages_come_out_as_they_went_in() -> None:
    stream = io.BytesIO(pack({"op": "encode", "text": "é\n\0"}, b"\0\n\xff") + pack({}))
    assert read_message(stream) == ({"op": "encode", "text": "é\n\0"}, b"\0\n\xff")
    assert read_message(stream) == ({}, b"")
    assert read_message(stream) is None


def test_a_message_cut_anywhere_is_broken() -> None:
    whole = pack({"op": "x"}, b"raw")
    for length in range(1, len(whole)):
        with pytest.raises(BrokenChannel):
            read_message(io.BytesIO(whole[:length]))


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">II", 1 << 31, 0),
        struct.pack(">II", 2, (1 << 32) - 1) + b"{}",
        struct.pack(">II", 2, 0) + b"[]",
        struct.pack(">II", 2, 0) + b"{,",
        b"Traceback (most recent call last):\n",
    ],
)
def test_what_is_no_message_is_refused(sent: bytes) -> None:
    with pytest.raises(BrokenChannel):
        read_message(io.BytesIO(sent))


def test_pieces_are_found_by_their_id_and_control_tokens_write_nothing() -> None:
    words = [b"", b"the", "€".encode(), b"<|end|>"]
    pieces = Pieces(pack_pieces(words), count=4, silent=[3])
    assert [pieces.piece(token_id) for token_id in range(len(pieces))] == words
    assert pieces.written(3) == b""
    assert pieces.written(1) == b"the"
    for outside in (-1, 4):
        with pytest.raises(IndexError):
            pieces.piece(outside)


def test_pieces_that_do_not_fill_their_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="lengths"):
        Pieces(pack_pieces([b"the"])[:-1], count=1)
