"""Row M4, an upstream's half: its answer is told whole or refused, whatever happens to the bytes on their way."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field

import pytest
from msgspec import structs

from parley.core.errors import EngineFailed
from parley.core.events import CallDelta, CallStarted, Delta, Finished, RunEvent
from parley.core.requests import ChatMessage, ChatPrompt
from parley.core.template import Role
from parley.serving.engines.openai_server.generation import Host, UpstreamGeneration
from parley.serving.engines.openai_server.reaching import Sending
from tests.builders_engines import round_of

ANSWER = "é🦊\u2028\r\n\x00 data: [DONE]\n\n end"
PIECES = [ANSWER[:1], ANSWER[1:4], ANSWER[4:9], ANSWER[9:]]


def event(content: str | None = None, *, finish: str | None = None, **delta: object) -> bytes:
    choice = {"index": 0, "delta": {"content": content, **delta}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}, ensure_ascii=False).encode() + b"\n\n"


TEXT = (
    b": hello\n\n"
    + event(role="assistant")
    + b"".join(event(piece) for piece in PIECES)
    + b"data:\n\n"
    + event(finish="stop")
    + b"data: [DONE]\n\n"
)
ARGUMENTS = '{"city":"Åre\\u2028🦊"}'
CALL = (
    event(tool_calls=[{"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": ""}}])
    + event(tool_calls=[{"index": 0, "function": {"arguments": ARGUMENTS[:9]}}])
    + event(tool_calls=[{"index": 0, "function": {"arguments": ARGUMENTS[9:]}}])
    + event(finish="tool_calls")
    + b"data: [DONE]\n\n"
)


@dataclass
class Bytes:
    """An HTTP response whose body comes in these pieces, then ends."""

    pieces: Iterator[bytes]
    is_closed: bool = False
    content: "Bytes" = field(init=False)

    def __post_init__(self) -> None:
        self.content = self

    async def readany(self) -> bytes:
        return next(self.pieces, b"")

    def close(self) -> None:
        self.is_closed = True


async def events_of(
    pieces: Iterable[bytes], *, names_tokens: bool = False, max_tokens: int = 1000, **changes: object
) -> AsyncIterator[RunEvent]:
    """The events of one round whose stream comes like that. Raises EngineFailed."""
    response = Bytes(piece for piece in pieces if piece)

    async def opening() -> Bytes:
        return response

    host = Host(
        tokenizer=None,
        first_seconds=60,
        stall_seconds=60,
        names_tokens=names_tokens,
        on_silent=lambda: None,
        on_disputed=lambda reported, usage: None,
        on_close=lambda: None,
        sending=Sending(is_taken=True),
    )
    request = round_of((), max_tokens=max_tokens, **changes)  # type: ignore[arg-type]
    source = ChatPrompt(messages=(ChatMessage(role=Role.USER, content="Hi"),))
    generation = UpstreamGeneration(structs.replace(request, source=source), opening(), host)  # type: ignore[arg-type]
    try:
        async for event in generation:
            yield event
    finally:
        assert response.is_closed


async def answered(pieces: Iterable[bytes]) -> list[RunEvent]:
    return [event async for event in events_of(pieces)]


def text_of(events: list[RunEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def call_of(events: list[RunEvent]) -> tuple[list[str], str]:
    names = [event.name for event in events if isinstance(event, CallStarted)]
    return names, "".join(event.arguments for event in events if isinstance(event, CallDelta))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
async def test_m4_a_text_is_the_same_at_every_cut(line_end: bytes) -> None:
    stream = TEXT.replace(b"\n", line_end)
    for cut in range(len(stream)):
        assert text_of(await answered([stream[:cut], stream[cut:]])) == ANSWER
    assert text_of(await answered(bytes([byte]) for byte in stream)) == ANSWER


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
async def test_m4_a_call_is_the_same_at_every_cut(mark: bytes) -> None:
    stream = mark + CALL
    for cut in range(len(stream)):
        assert call_of(await answered([stream[:cut], stream[cut:]])) == (["weather"], ARGUMENTS)


@pytest.mark.parametrize("stream", [TEXT, CALL], ids=["text", "call"])
async def test_m4_a_stream_that_ends_early_is_never_a_whole_answer(stream: bytes) -> None:
    whole = len(stream) - len(b"data: [DONE]\n\n")
    for end in range(len(stream)):
        if end < whole:
            with pytest.raises(EngineFailed):
                await answered([stream[:end]])
        else:
            # All was said; that the mark is missing changes nothing.
            assert isinstance((await answered([stream[:end]]))[-1], Finished)


@pytest.mark.parametrize("stream", [TEXT, CALL], ids=["text", "call"])
async def test_m4_a_byte_that_was_changed_ends_in_an_answer_or_in_a_failure(stream: bytes) -> None:
    for position in range(len(stream)):
        for byte in (stream[position] ^ 0x20, 0x00, 0x0A, 0x0D, 0x22, 0x7B, 0xC3, 0xFF):
            changed = stream[:position] + bytes([byte]) + stream[position + 1 :]
            try:
                events = await answered([changed[:position], changed[position:]])
            except EngineFailed:
                continue
            assert [type(event) for event in events].count(Finished) == 1
            assert isinstance(events[-1], Finished)


async def test_m4_two_streams_spliced_at_any_byte_end_in_an_answer_or_in_a_failure() -> None:
    for cut in range(0, len(TEXT), 3):
        for start in range(0, len(CALL), 41):
            try:
                events = await answered([TEXT[:cut], CALL[start:], TEXT[cut:]])
            except EngineFailed:
                continue
            assert isinstance(events[-1], Finished)


async def test_m4_a_line_without_end_is_a_failure() -> None:
    with pytest.raises(EngineFailed):
        await answered([event("Hi"), *[b"data: " + b"x" * (1 << 20)] * 5])


async def test_m4_events_without_anything_in_them_are_no_failure() -> None:
    assert text_of(await answered([b"data\n\n", b"data: \n\n", TEXT])) == ANSWER
