"""Row M4, an upstream's half: server-sent events out of bytes, whatever the bytes are and wherever they are cut."""

from collections.abc import Iterable
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.serving.engines.sse import NoEventStream, SseReader
from tests.sse_standard import parse

STREAM = (
    b"\xef\xbb\xbf"
    + ': ping\n\nevent: message\ndata: {"a":"é🦊\u2028"}\n\nid: 7\r\ndata:first\r\ndata: second\r\n\r\n'.encode()
    + b"retry: 10\rdata\rdata:\rdata:  x\r\rweather: fine\ndata: \xff\xfe\n\n:\n\n\n\ndata: [DONE]\n\ndata: never ended"
)
EVENTS = ['{"a":"é🦊\u2028"}', "first\nsecond", "\n\n x", "\ufffd\ufffd", "[DONE]"]
LINE_ENDS = st.sampled_from(["\n", "\r", "\r\n"])
FIELDS = st.sampled_from(["data:", "data: ", ":", "event: ", "id:", "retry: ", "other:"])
VALUES = st.text(st.sampled_from('a é🦊:\u2028\u0085\x00"'), max_size=5)
LINES = st.builds("".join, st.tuples(FIELDS, VALUES)) | st.sampled_from(["", "data", "id", "other"])


def read(pieces: Iterable[bytes]) -> list[str]:
    """What our reader makes of a stream that comes in these pieces."""
    reader = SseReader()
    return [event.decode(errors="replace") for piece in pieces for event in reader.feed(piece)]


def test_the_standard_and_we_read_the_same() -> None:
    assert parse(STREAM) == EVENTS
    assert read([STREAM]) == EVENTS


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_m4_events_are_the_same_at_every_cut(cut: int) -> None:
    assert read([STREAM[:cut], STREAM[cut:]]) == EVENTS
    assert read([STREAM[:cut], b"", STREAM[cut:]]) == EVENTS


def test_m4_events_are_the_same_byte_by_byte() -> None:
    assert read(bytes([byte]) for byte in STREAM) == EVENTS


@given(st.lists(st.integers(0, len(STREAM))))
def test_events_are_the_same_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(STREAM)]
    assert read(STREAM[start:end] for start, end in pairwise(bounds)) == EVENTS


@given(st.lists(st.tuples(LINES, LINE_ENDS)), st.data())
def test_m4_any_lines_with_any_line_ends_are_read_as_the_standard_says(lines, data) -> None:
    stream = "".join(line + end for line, end in lines).encode()
    cut = data.draw(st.integers(0, len(stream)))
    assert read([stream[:cut], stream[cut:]]) == parse(stream)


@pytest.mark.parametrize("position", range(len(STREAM)))
def test_m4_a_byte_that_was_changed_is_read_as_the_standard_says_or_refused(position: int) -> None:
    for byte in (0x00, 0x0A, 0x0D, 0x20, 0x3A, 0x7F, 0x80, 0xFF):
        stream = STREAM[:position] + bytes([byte]) + STREAM[position + 1 :]
        try:
            events = read([stream[:position], stream[position:]])
        except NoEventStream:
            continue
        assert events == parse(stream)


def test_an_event_that_is_not_complete_is_not_told() -> None:
    assert read([b"data: half"]) == read([b"data: half\n"]) == []


@pytest.mark.parametrize(
    "line", [b"data: " + b"x" * 200, b"data: " + b"x" * 200 + b"\n", b"data: xxxxxxxxx\n" * 20, b"data\n" * 101]
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_endless_line_or_event_is_refused(line: bytes, size: int) -> None:
    reader = SseReader(max_event_bytes=100)
    pieces = [line[start : start + size] for start in range(0, len(line), size)]
    with pytest.raises(NoEventStream):
        list(chain.from_iterable(reader.feed(piece) for piece in pieces))


def test_comments_are_kept_nowhere() -> None:
    reader = SseReader(max_event_bytes=100)
    for _ in range(1000):
        assert list(reader.feed(b": still here\n")) == []


@pytest.mark.parametrize("line", [b"\n", b": still here\n", b"retry: 7\n"])
def test_lines_without_end_are_refused(line: bytes) -> None:
    reader = SseReader()
    with pytest.raises(NoEventStream):
        list(chain.from_iterable(reader.feed(line * 1000) for _ in range(100)))


def test_lines_between_events_are_not_added_up() -> None:
    reader = SseReader()
    for _ in range(100):
        assert list(reader.feed(b": still here\n\n" * 1000 + b"data: x\n\n")) == [b"x"]


@pytest.mark.parametrize("page", [b"<html>\n<body>\n", b'{"error": {"message": "no"}}\n', "données: x\n".encode()])
def test_a_page_is_no_event_stream(page: bytes) -> None:
    with pytest.raises(NoEventStream):
        read([page])
