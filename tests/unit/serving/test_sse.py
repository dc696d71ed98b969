"""Server-sent events out of bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.serving.engines.sse import NoEventStream, SseReader

STREAM = ': ping\n\nevent: message\ndata: {"a":"é🦊"}\n\nid: 7\r\ndata:first\r\ndata: second\r\n\r\ndata: [DONE]\n\n'.encode()
EVENTS = ['{"a":"é🦊"}'.encode(), b"first\nsecond", b"[DONE]"]


@given(st.lists(st.integers(0, len(STREAM))))
def test_events_are_the_same_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    reader, start, found = SseReader(), 0, []
    for cut in [*sorted(cuts), len(STREAM)]:
        found += reader.feed(STREAM[start:cut])
        start = cut
    assert found == EVENTS


def test_an_event_that_is_not_complete_is_not_told() -> None:
    assert list(SseReader().feed(b"data: half")) == []


def test_an_endless_line_or_event_is_refused() -> None:
    with pytest.raises(NoEventStream):
        list(SseReader(max_event_bytes=100).feed(b"data: " + b"x" * 200))
    with pytest.raises(NoEventStream):
        list(SseReader(max_event_bytes=100).feed(b"data: xxxxxxxxx\n" * 20))


def test_a_page_is_no_event_stream() -> None:
    with pytest.raises(NoEventStream):
        list(SseReader().feed(b"<html>\n<body>\n"))
