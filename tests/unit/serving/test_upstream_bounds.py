"""An upstream that floods, lies or says odd things: what it may keep of memory and of the loop, and what the client is told."""

import asyncio
import itertools
import json
from collections.abc import Iterator

import msgspec
import pytest

from parley.core.errors import EngineFailed
from parley.core.events import CallDelta, CallStarted, Delta, Finished, FinishReason, RunEvent, SequenceFinished
from tests.unit.serving.test_upstream_stream import answered, event, events_of, text_of

DONE = b"data: [DONE]\n\n"
PIECE = 1 << 14


def chunk(**choice: object) -> bytes:
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def scores(num: int, *, token: str = "w") -> dict[str, object]:
    return {"content": [{"token": token, "logprob": -1.0, "top_logprobs": [{"token": token, "logprob": -1.0}]}] * num}


def reasons_of(events: list[RunEvent]) -> list[FinishReason]:
    return [event.finish_reason for event in events if isinstance(event, SequenceFinished)]


def num_tokens_of(events: list[RunEvent]) -> int:
    return sum(event.num_tokens for event in events if isinstance(event, Delta))


class Flood:
    """The same bytes without end, and how much of them was taken."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = itertools.cycle(pieces)
        self.num_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.num_bytes += len(piece)
            yield piece


async def test_others_get_their_turns_while_all_that_came_at_once_is_read() -> None:
    num_turns = 0

    async def others() -> None:
        nonlocal num_turns
        while True:
            num_turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    stream = b": " + b"x" * (1 << 21) + b"\n" + event("Hi ") * 100 + event(finish="stop") + DONE
    events = await answered([stream])
    beside.cancel()
    assert text_of(events) == "Hi " * 100
    assert num_turns >= len(stream) // PIECE


@pytest.mark.parametrize("nothing", [b": x\n\n", b":\n", b"\n", b"data:\n\n", b"data: {}\n\n", b"id: 7\n", event("")])
async def test_a_stream_that_tells_nothing_without_end_fails(nothing: bytes) -> None:
    flood = Flood(nothing * (PIECE // len(nothing)))
    with pytest.raises(EngineFailed) as failed:
        await answered(flood)
    assert "without end" in failed.value.detail or "without an event" in failed.value.detail
    assert flood.num_bytes < 8 << 20


async def test_a_stream_that_tells_nothing_more_without_end_is_over() -> None:
    events = await answered(itertools.chain([event("Hi"), event(finish="stop")], Flood(b": x\n\n" * 3000)))
    assert isinstance(events[-1], Finished)
    assert text_of(events) == "Hi"


@pytest.mark.parametrize("num", [2, 1000, 1_300_000])
async def test_a_chunk_has_no_more_choices_than_there_are_sequences(num: int) -> None:
    with pytest.raises(EngineFailed) as failed:
        await answered([b'data: {"choices":[' + b",".join([b"{}"] * num) + b"]}\n\n"])
    assert ("choices in a chunk of 1" if num <= 1000 else "objects") in failed.value.detail


def piece(number: int, arguments: str, name: str | None = None) -> dict[str, object]:
    return {"index": number, "function": {"name": name, "arguments": arguments}}


BEGUN = event(tool_calls=[piece(0, "{[", "f"), piece(1, "{", "g")])


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of calls that were read as JSON."""
    read: list[str] = []
    decode = msgspec.json.decode

    def noting(text: str, **options: object) -> object:
        read.append(text)
        return decode(text, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(msgspec.json, "decode", noting)
    return read


async def test_the_pieces_of_one_chunk_are_read_together(decoded: list[str]) -> None:
    many = event(tool_calls=[piece(0, "}")] * 1000)
    events = await answered([BEGUN, many, event(finish="tool_calls"), DONE])
    assert decoded == ["{[" + "}" * 1000]
    told = [(event.call, event.arguments) for event in events if isinstance(event, CallDelta)]
    assert told == [(0, "{["), (0, "}" * 1000), (1, "{")]


async def test_a_call_that_is_never_whole_is_not_read_again_and_again(decoded: list[str]) -> None:
    many = [event(tool_calls=[piece(0, "}")])] * 900
    events = await answered([BEGUN, *many, event(finish="tool_calls"), DONE])
    assert len(decoded) < 100
    arguments = ["", ""]
    for told in events:
        if isinstance(told, CallDelta):
            arguments[told.call] += told.arguments
    assert arguments == ["{[" + "}" * 900, "{"]
    assert [event.call for event in events if isinstance(event, CallStarted)] == [0, 1]


async def test_a_chunk_of_endless_pieces_fails() -> None:
    with pytest.raises(EngineFailed) as failed:
        await answered([BEGUN, event(tool_calls=[piece(0, "}")] * 12_000)])
    assert "endless calls" in failed.value.detail


@pytest.mark.parametrize("names_tokens", [True, False])
@pytest.mark.parametrize("token_ids", [[], None])
async def test_text_whose_tokens_are_not_named_is_counted_all_the_same(
    names_tokens: bool, token_ids: list[int] | None
) -> None:
    free = chunk(index=0, delta={"content": "free "}, token_ids=token_ids)
    events = [each async for each in events_of(Flood(free), names_tokens=names_tokens, max_tokens=10)]
    assert text_of(events) == "free " * 10
    assert num_tokens_of(events) == 10
    assert reasons_of(events) == [FinishReason.LENGTH]


async def test_names_of_tokens_that_nobody_asked_for_are_not_believed() -> None:
    named = chunk(index=0, delta={"content": "word "}, token_ids=list(range(500)))
    for names_tokens, num_tokens in ((True, 500), (False, 1)):
        stream = [named, event(finish="stop"), DONE]
        events = [each async for each in events_of(stream, names_tokens=names_tokens)]
        assert num_tokens_of(events) == num_tokens


async def test_an_empty_word_for_an_end_is_none() -> None:
    words = [chunk(index=0, delta={"content": word}, finish_reason="") for word in ("The ", "answer ", "is ", "42.")]
    events = await answered([*words, event(finish="stop"), DONE])
    assert text_of(events) == "The answer is 42."
    assert reasons_of(events) == [FinishReason.STOP]


async def test_an_unknown_word_for_an_end_counts_where_the_stream_ends() -> None:
    words = [chunk(index=0, delta={"content": word}, finish_reason="going_on") for word in ("The ", "answer")]
    events = await answered([*words, DONE])
    assert text_of(events) == "The answer"
    assert reasons_of(events) == [FinishReason.STOP]
    # A stream that broke off is no whole answer, whatever it said before.
    with pytest.raises(EngineFailed):
        await answered(words)


async def test_openais_words_for_ends_are_known_in_capitals_too() -> None:
    assert reasons_of(await answered([event("x"), event(finish="LENGTH"), DONE])) == [FinishReason.LENGTH]
    with pytest.raises(EngineFailed):
        await answered([event("x"), event(finish="ERROR"), DONE])


@pytest.mark.parametrize("field", ["content", "refusal", "reasoning_content"])
async def test_tokens_of_megabytes_are_cut_like_too_many_tokens(field: str) -> None:
    flood = Flood(event(**{field: "A" * 500_000}))  # type: ignore[arg-type]
    events = [each async for each in events_of(flood, max_tokens=200)]
    assert reasons_of(events) == [FinishReason.LENGTH]
    assert flood.num_bytes < 3 << 20
    assert len(text_of(events)) <= 1 << 21


async def test_a_call_of_megabytes_is_cut_too() -> None:
    flood = Flood(event(tool_calls=[piece(0, "A" * 500_000, "f")]))
    events = [each async for each in events_of(flood, max_tokens=200)]
    assert reasons_of(events) == [FinishReason.LENGTH]


async def test_a_long_answer_of_long_tokens_is_whole() -> None:
    word = " " * 128
    events = await answered([*[event(word) for _ in range(1000)], event(finish="stop"), DONE])
    assert text_of(events) == word * 1000
    assert reasons_of(events) == [FinishReason.STOP]


@pytest.mark.parametrize("num", [1, 2000])
async def test_scores_without_any_text_are_cut_where_the_answer_is(num: int) -> None:
    flood = Flood(chunk(index=0, delta={}, logprobs=scores(num)))
    events = [each async for each in events_of(flood, max_tokens=50, logprobs=1)]
    assert reasons_of(events) == [FinishReason.LENGTH]
    assert sum(len(each.tokens) for each in events if isinstance(each, Delta)) <= 50
    assert flood.num_bytes < 1 << 20


async def test_scores_of_megabytes_are_cut_before_they_are_read() -> None:
    flood = Flood(chunk(index=0, delta={"content": "x"}, logprobs=scores(1, token="A" * 700_000)))
    events = [each async for each in events_of(flood, max_tokens=50, logprobs=1)]
    assert reasons_of(events) == [FinishReason.LENGTH]


@pytest.mark.parametrize(
    "broken",
    [
        b'data: {"error": {"code": "boom"}}\n\n',
        b"data: no chunk\n\n",
        b"<html>\n",
        b'data: {"choices":[{"index":7}]}\n\n',
        chunk(index=0, finish_reason="abort"),
    ],
    ids=["error", "text", "page", "index", "abort"],
)
async def test_what_came_in_one_packet_with_a_failure_is_told_before_it(broken: bytes) -> None:
    told: list[RunEvent] = []

    async def listen() -> None:
        async for each in events_of([event("w ") * 200 + broken + event("later")]):
            told.append(each)

    with pytest.raises(EngineFailed):
        await listen()
    assert text_of(told) == "w " * 200
    assert num_tokens_of(told) == 200


@pytest.mark.parametrize(
    "logprobs",
    [{"content": [{"token": "w", "logprob": -1, "top_logprobs": 7}]}, "none", [1], {"tokens": ["a"]}, None],
)
async def test_scores_that_nobody_asked_for_are_not_read(logprobs: object) -> None:
    stream = [chunk(index=0, delta={"content": "w"}, logprobs=logprobs), event(finish="stop"), DONE]
    assert text_of(await answered(stream)) == "w"


async def test_scores_that_were_asked_for_and_cannot_be_read_are_a_failure() -> None:
    with pytest.raises(EngineFailed) as failed:
        [each async for each in events_of([chunk(index=0, delta={"content": "w"}, logprobs="none")], logprobs=1)]
    assert "log-probabilities" in failed.value.detail


async def test_a_chunk_may_have_null_in_the_place_of_lists() -> None:
    null = {"content": [{"token": "w", "logprob": -1, "bytes": None, "top_logprobs": None}]}
    stream = [
        b'data: {"choices": null}\n\n',
        chunk(index=0, delta={"content": "w", "tool_calls": None}, logprobs=null),
        event(finish="stop"),
        DONE,
    ]
    assert text_of(await answered(stream)) == "w"
    (token,) = [
        token
        for each in [each async for each in events_of(stream, logprobs=1)]
        if isinstance(each, Delta)
        for token in each.tokens
    ]
    assert (token.piece, token.top) == (b"w", ())


async def test_all_that_came_before_a_connection_broke_is_told() -> None:
    def breaking() -> Iterator[bytes]:
        yield event("w ") * 900
        raise ConnectionResetError

    told: list[RunEvent] = []

    async def listen() -> None:
        async for each in events_of(breaking()):
            told.append(each)

    with pytest.raises(EngineFailed):
        await listen()
    assert text_of(told) == "w " * 900
