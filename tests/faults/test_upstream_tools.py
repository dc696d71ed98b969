"""Tools and forms of answers at an upstream: OpenAI's own words there, the same events back, and nothing left out."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec import structs

from parley.core.errors import EngineFailed, UnsupportedParameter
from parley.core.events import CallDelta, CallStarted, FinishReason, RefusalDelta, RunEvent, SequenceFinished
from parley.core.price import Price
from parley.core.requests import (
    AnswerLabel,
    ChatMessage,
    ChatPrompt,
    Function,
    GenerationRequest,
    Schema,
    ToolCall,
    ToolChoice,
    Tools,
)
from parley.core.template import Role
from parley.core.upstream import UpstreamKind
from parley.serving.admission.abilities import check_abilities
from tests.builders_serving import chat, make_bench, make_snapshot, texts
from tests.builders_upstreams import Script, chat_chunk, engine_on, fake_upstream, saying, upstream_at, usage_chunk
from tests.faults.test_upstreams import serving_on, weights_of

PARAMETERS = Schema(text='{"type":"object","properties":{"city":{"type":"string"}}}', subject="f", param="tools")
WEATHER = Function(name="weather", description="Tells it", parameters=PARAMETERS)
TOOLS = Tools(functions=(WEATHER,))
ANSWER = Schema(
    text='{"type":"array"}', subject="response_format", param="response_format", label=AnswerLabel(name="list")
)


def asking(tools: Tools | None = TOOLS, *, answer: Schema | None = None, **changes: object) -> GenerationRequest:
    prompt = ChatPrompt(messages=(ChatMessage(role=Role.USER, content="Sun?"),), tools=tools, answer=answer)
    return chat("", prompts=(prompt,), **changes)


def calls(*pieces: dict[str, object], finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"tool_calls": list(pieces)}, "finish_reason": finish}]}


def piece(name: str | None = None, arguments: str = "", **more: object) -> dict[str, object]:
    return {**more, "function": {"name": name, "arguments": arguments}}


def told(events: Sequence[RunEvent]) -> list[tuple[str, str]]:
    """Name and arguments of each call."""
    found: list[list[str]] = []
    for event in events:
        if isinstance(event, CallStarted):
            found.append([event.name, ""])
        elif isinstance(event, CallDelta):
            found[event.call][1] += event.arguments
    return [(name, arguments) for name, arguments in found]


BIT_BY_BIT = saying(
    calls(piece("weather", index=0, id="call_a")),
    calls(piece(None, '{"city":', index=0)),
    calls(piece(None, '"Rome"}', index=0)),
    calls(piece("weather", '{"city":"Oslo"}', index=1, id="call_b")),
    calls(finish="tool_calls"),
    usage_chunk(5, 20),
)
# Ollama's way: whole calls, not numbered, and "stop" at their end.
WHOLE = saying(
    calls(piece("weather", '{"city":"Rome"}'), piece("weather", '{"city":"Oslo"}')),
    calls(finish="stop"),
    usage_chunk(5, 20),
)


@pytest.mark.parametrize("script", [BIT_BY_BIT, WHOLE], ids=["bit by bit", "whole"])
async def test_calls_come_as_events_however_they_are_sent(script: Script) -> None:
    async with serving_on(script, kind=UpstreamKind.OPENAI) as (bench, fake):
        events = await bench.run(asking(max_tokens=50))
    assert told(events) == [("weather", '{"city":"Rome"}'), ("weather", '{"city":"Oslo"}')]
    assert [event.finish_reason for event in events if isinstance(event, SequenceFinished)] == [FinishReason.TOOL_CALLS]
    assert bench.sink.records[0].usage.output_tokens == 20
    assert bench.sink.records[0].doubt is None
    (tool,) = fake.received[0].body["tools"]
    assert tool["function"]["name"] == "weather"
    assert tool["function"]["parameters"]["type"] == "object"
    assert "tool_choice" not in fake.received[0].body


# Both calls are open, and the pieces of their arguments come in turns.
IN_TURNS = saying(
    calls(piece("weather", index=0, id="call_a"), piece("weather", index=1, id="call_b")),
    calls(piece(None, '{"city":', index=0)),
    calls(piece(None, '{"city":', index=1)),
    calls(piece(None, '"Rome"}', index=0)),
    calls(piece(None, '"Oslo"}', index=1)),
    calls(finish="tool_calls"),
    usage_chunk(5, 20),
)


async def test_pieces_of_calls_that_are_open_side_by_side_are_never_mixed() -> None:
    async with serving_on(IN_TURNS, kind=UpstreamKind.OPENAI) as (bench, _):
        for is_stream in (False, True):
            events = await bench.run(asking(max_tokens=50, is_stream=is_stream))
            assert told(events) == [("weather", '{"city":"Rome"}'), ("weather", '{"city":"Oslo"}')]
            assert [event.call_id for event in events if isinstance(event, CallStarted)] == ["call_a", "call_b"]
            # One call after the other: official clients take a call for whole when the next one begins.
            numbers = [event.call for event in events if isinstance(event, CallStarted | CallDelta)]
            assert numbers == sorted(numbers)


async def test_a_call_waits_for_none_that_is_whole_and_for_the_end_of_one_that_never_is() -> None:
    whole = saying(
        calls(piece("weather", '{"city":"Rome"}', index=0), piece("weather", '{"ci', index=1)),
        calls(piece(None, 'ty":"Oslo"}', index=1)),
        is_done=False,
    )
    async with serving_on(whole, kind=UpstreamKind.OPENAI) as (bench, _):
        run = await bench.open(asking(max_tokens=50, is_stream=True))
        events: list[RunEvent] = []

        async def listen() -> None:
            async for event in run:
                events.append(event)

        with pytest.raises(EngineFailed):
            await listen()
        await run.aclose()
    assert told(events) == [("weather", '{"city":"Rome"}'), ("weather", '{"city":"Oslo"}')]
    empty = saying(
        calls(piece("weather", index=0), piece("weather", "{}", index=1)), calls(finish="length"), usage_chunk(5, 4)
    )
    async with serving_on(empty, kind=UpstreamKind.OPENAI) as (bench, _):
        events = await bench.run(asking(max_tokens=50, is_stream=True))
    assert told(events) == [("weather", ""), ("weather", "{}")]


async def test_of_calls_that_are_open_side_by_side_one_is_told_whole_where_one_was_asked_for() -> None:
    async with serving_on(IN_TURNS, kind=UpstreamKind.OPENAI) as (bench, _):
        events = await bench.run(asking(structs.replace(TOOLS, is_parallel=False), max_tokens=50))
    assert told(events) == [("weather", '{"city":"Rome"}')]


async def test_calls_may_be_numbered_from_anywhere() -> None:
    script = saying(
        calls(piece("weather", '{"city":', index=4)),
        calls(piece(None, '"Rome"}', index=4)),
        calls(finish="tool_calls"),
        usage_chunk(5, 20),
    )
    async with serving_on(script, kind=UpstreamKind.OPENAI) as (bench, _):
        events = await bench.run(asking(max_tokens=50))
    assert told(events) == [("weather", '{"city":"Rome"}')]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_call_in_which_the_money_ends_is_cut_like_any_answer(is_stream: bool) -> None:
    script = saying(
        calls(piece("weather", index=0)), *(calls(piece(None, "1", index=0)) for _ in range(90)), calls(finish="stop")
    )
    price = Price(version="dear", input_token_nano=0, cached_token_nano=0, output_token_nano=1)
    async with fake_upstream(script) as fake, engine_on(upstream_at(fake.url, UpstreamKind.OPENAI)) as engine:
        snapshot = make_snapshot(weights=weights_of(UpstreamKind.OPENAI, fake.url), price=price)
        bench = make_bench(engine=engine, snapshots=(snapshot,), is_metered=True)
        bench.billing.books.add_credit("org_a", 40)
        events = await bench.run(asking(is_stream=is_stream))
    ((_, arguments),) = told(events)
    assert 0 < len(arguments) <= 40
    assert [event.finish_reason for event in events if isinstance(event, SequenceFinished)] == [FinishReason.LENGTH]


async def test_where_one_call_was_asked_for_further_ones_are_not_told() -> None:
    async with serving_on(BIT_BY_BIT, kind=UpstreamKind.OPENAI) as (bench, fake):
        events = await bench.run(asking(structs.replace(TOOLS, is_parallel=False), max_tokens=50))
    assert told(events) == [("weather", '{"city":"Rome"}')]
    assert fake.received[0].body["parallel_tool_calls"] is False


async def test_a_choice_and_a_form_are_asked_for_in_openais_words() -> None:
    script = saying({"choices": [{"index": 0, "delta": {"content": "[]"}, "finish_reason": "stop"}]}, usage_chunk(5, 1))
    async with serving_on(script, kind=UpstreamKind.OPENAI) as (bench, fake):
        await bench.run(asking(structs.replace(TOOLS, only="weather"), answer=ANSWER, max_tokens=50))
        await bench.run(asking(structs.replace(TOOLS, choice=ToolChoice.REQUIRED), max_tokens=50))
        await bench.run(
            asking(None, answer=structs.replace(ANSWER, text='{"type":"object"}', label=None), max_tokens=50)
        )
    first, second, third = (received.body for received in fake.received)
    assert first["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert first["response_format"]["json_schema"]["schema"] == {"type": "array"}
    assert second["tool_choice"] == "required"
    assert third["response_format"] == {"type": "json_object"}
    assert "tools" not in third


@pytest.mark.parametrize(
    "asked", [{}, {"tools": None, "answer": ANSWER}, {"tools": None}], ids=["tools", "form", "text"]
)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_refusal_arrives_as_one_and_is_counted(asked: dict[str, object], is_stream: bool) -> None:
    """It is no answer, and so needs not have the form of one."""
    script = saying(
        chat_chunk("", role="assistant", refusal=None),
        chat_chunk(refusal="I'm sorry, "),
        chat_chunk(refusal="I cannot."),
        chat_chunk(finish="stop"),
        usage_chunk(5, 5),
    )
    async with serving_on(script, kind=UpstreamKind.OPENAI) as (bench, _):
        events = await bench.run(asking(**asked, max_tokens=50, is_stream=is_stream))
    assert "".join(event.text for event in events if isinstance(event, RefusalDelta)) == "I'm sorry, I cannot."
    assert texts(events) == {0: ""}
    assert [event.finish_reason for event in events if isinstance(event, SequenceFinished)] == [FinishReason.STOP]
    assert (bench.sink.records[0].usage.output_tokens, bench.sink.records[0].doubt) == (5, None)


@pytest.mark.parametrize(
    ("label", "sent"),
    [
        (AnswerLabel(name="list"), {"name": "list"}),
        (
            AnswerLabel(name="list", description="Of cities", is_strict=False),
            {"name": "list", "description": "Of cities", "strict": False},
        ),
        (AnswerLabel(name="list", is_strict=True), {"name": "list", "strict": True}),
    ],
)
async def test_a_form_goes_by_the_name_and_as_strictly_as_the_client_declared_it(
    label: AnswerLabel, sent: dict[str, object]
) -> None:
    script = saying(chat_chunk("[]", finish="stop"), usage_chunk(5, 1))
    async with serving_on(script, kind=UpstreamKind.OPENAI) as (bench, fake):
        await bench.run(asking(None, answer=structs.replace(ANSWER, label=label), max_tokens=50))
    assert fake.received[0].body["response_format"] == {
        "type": "json_schema",
        "json_schema": {**sent, "schema": {"type": "array"}},
    }


async def test_earlier_calls_and_their_results_go_back_with_their_ids() -> None:
    messages = (
        ChatMessage(
            role=Role.ASSISTANT, content="", calls=(ToolCall(name="weather", arguments="{}", call_id="call_a"),)
        ),
        ChatMessage(role=Role.TOOL, content="sun", call_id="call_a"),
        ChatMessage(role=Role.ASSISTANT, content="", calls=(ToolCall(name="weather", arguments="{}"),)),
        ChatMessage(role=Role.FUNCTION, content="rain", name="weather"),
    )
    script = saying({"choices": [{"index": 0, "delta": {"content": "ok"}, "finish_reason": "stop"}]}, usage_chunk(5, 1))
    async with serving_on(script, kind=UpstreamKind.OPENAI) as (bench, fake):
        await bench.run(chat("", prompts=(ChatPrompt(messages=messages),), max_tokens=5))
    first, second, third, fourth = fake.received[0].body["messages"]
    assert first["tool_calls"] == [
        {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    ]
    assert second == {"role": "tool", "content": "sun", "tool_call_id": "call_a"}
    assert third["tool_calls"][0]["id"] == fourth["tool_call_id"]
    assert fourth["role"] == "tool"


@pytest.mark.parametrize(
    "script",
    [
        saying(calls(piece(None, "{}", index=0)), calls(finish="tool_calls")),
        saying(calls(piece("weather", "{", index=0), piece(None, "}", index=1)), calls(finish="tool_calls")),
        saying(*(calls(piece("weather", index=number)) for number in range(200)), calls(finish="tool_calls")),
    ],
    ids=["arguments of no call", "arguments of another call", "calls without end"],
)
async def test_nonsense_about_calls_is_a_failure_of_the_engine(script: Script) -> None:
    async with serving_on(script, kind=UpstreamKind.OPENAI) as (bench, _):
        run = await bench.open(asking(max_tokens=500))
        with pytest.raises(EngineFailed):
            async for _event in run:
                pass
        await run.aclose()


@pytest.mark.parametrize(
    ("kind", "tools", "param"),
    [
        (UpstreamKind.LLAMA_SERVER, structs.replace(TOOLS, choice=ToolChoice.REQUIRED), "tool_choice"),
        (UpstreamKind.OLLAMA, structs.replace(TOOLS, only="weather", choice_field="function_call"), "function_call"),
        (UpstreamKind.VLLM, structs.replace(TOOLS, functions=(structs.replace(WEATHER, is_strict=True),)), "strict"),
    ],
)
def test_what_a_server_does_not_enforce_is_refused_by_name(kind: UpstreamKind, tools: Tools, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        check_abilities(asking(tools), weights_of(kind))
    assert refused.value.param == param


@pytest.mark.parametrize(("request_", "param"), [(asking(), "tools"), (asking(None, answer=ANSWER), "response_format")])
def test_where_prompts_are_tokenised_here_they_are_refused(request_: GenerationRequest, param: str, tmp_path) -> None:
    weights = replace(weights_of(UpstreamKind.VLLM), path=tmp_path / "vocabulary.gguf")
    with pytest.raises(UnsupportedParameter) as refused:
        check_abilities(request_, weights)
    assert refused.value.param == param
