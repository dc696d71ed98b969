"""Tools and structured output with the newest official client, on the model that ships: its helpers, its loops, its streams."""

import json
from collections.abc import Iterator
from enum import Enum
from typing import Any, Literal

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel, Field

from tests.live import LiveServer

CHAT = "gpt-4"
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"enum": ["Paris", "Rome"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 9},
            },
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
TIMER: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "set_timer", "parameters": {"type": "object", "properties": {"minutes": {"enum": [5, 10]}}}},
}


class Mood(Enum):
    GLAD = "glad"
    SAD = "sad"


class Answer(BaseModel):
    """What a small model can fill in under a grammar: every text is short."""

    mood: Mood
    count: Literal[1, 2, 3]
    is_sure: bool
    words: list[Literal["yes", "no"]] = Field(max_length=3)


class GetWeather(BaseModel):
    """Get the weather of a city."""

    city: Literal["Paris", "Rome"]
    days: Literal[1, 2]


@pytest.fixture(scope="module")
def client(live_server: LiveServer) -> Iterator[OpenAI]:
    with OpenAI(api_key=live_server.key, base_url=live_server.base_url, max_retries=0) as client:
        yield client


def call(client: OpenAI, **fields: Any) -> Any:
    fields = {"model": CHAT, "messages": ASKED, "max_tokens": 100, "seed": 7} | fields
    return client.chat.completions.create(**fields)


def check_weather(arguments: str) -> None:
    value = json.loads(arguments)
    assert set(value) == {"city", "days"}
    assert value["city"] in {"Paris", "Rome"}
    assert 1 <= value["days"] <= 9


@pytest.mark.parametrize("seed", range(5))
def test_a_required_call_is_always_one_of_the_declared_with_arguments_of_its_schema(client: OpenAI, seed: int) -> None:
    (choice,) = call(
        client, tools=[WEATHER], tool_choice="required", temperature=1.5, seed=seed, max_tokens=300
    ).choices
    if choice.finish_reason == "length":
        # It may call again and again; what it said before is whole.
        choice.message.tool_calls.pop()
    else:
        assert choice.finish_reason == "tool_calls"
    for called in choice.message.tool_calls:
        assert called.id.startswith("call_")
        assert called.function.name == "get_weather"
        check_weather(called.function.arguments)
    assert choice.message.content is None


@pytest.mark.parametrize("seed", range(5))
def test_a_named_function_is_called_whatever_was_asked(client: OpenAI, seed: int) -> None:
    named = {"type": "function", "function": {"name": "set_timer"}}
    (choice,) = call(client, tools=[WEATHER, TIMER], tool_choice=named, parallel_tool_calls=False, seed=seed).choices
    (called,) = choice.message.tool_calls
    assert called.function.name == "set_timer"
    assert json.loads(called.function.arguments).get("minutes") in (None, 5, 10)
    assert choice.finish_reason == "stop"


def test_none_is_plain_talk_and_costs_no_prompt_for_tools(client: OpenAI) -> None:
    plain = call(client)
    silent = call(client, tools=[WEATHER], tool_choice="none")
    declared = call(client, tools=[WEATHER])
    assert silent.choices[0].message.tool_calls is None
    assert silent.usage.prompt_tokens == plain.usage.prompt_tokens
    assert declared.usage.prompt_tokens > plain.usage.prompt_tokens


def test_a_streamed_call_is_the_same_as_a_whole_one(client: OpenAI) -> None:
    asked: dict[str, Any] = {
        "tools": [WEATHER],
        "tool_choice": "required",
        "temperature": 0,
        "parallel_tool_calls": False,
    }
    whole = call(client, **asked).choices[0]
    chunks = [chunk.choices[0] for chunk in call(client, **asked, stream=True)]
    pieces = [piece for chunk in chunks for piece in chunk.delta.tool_calls or []]
    assert [piece.index for piece in pieces] == [0] * len(pieces)
    assert pieces[0].id.startswith("call_")
    assert (pieces[0].type, pieces[0].function.name, pieces[0].function.arguments) == ("function", "get_weather", "")
    assert all(piece.id is None and piece.function.name is None for piece in pieces[1:])
    assert "".join(piece.function.arguments for piece in pieces) == whole.message.tool_calls[0].function.arguments
    assert len(pieces) > 3, "the arguments come bit by bit"
    assert chunks[-1].finish_reason == whole.finish_reason == "tool_calls"


def test_several_choices_call_each_for_themselves(client: OpenAI) -> None:
    reply = call(client, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, n=3)
    calls = [choice.message.tool_calls for choice in reply.choices]
    assert [len(each) for each in calls] == [1, 1, 1]
    assert len({each[0].id for each in calls}) == 3


def test_functions_of_2023_are_called_as_then(client: OpenAI) -> None:
    function = {**WEATHER["function"]}
    (choice,) = call(client, functions=[function], function_call={"name": "get_weather"}).choices
    assert choice.finish_reason == "stop"
    assert choice.message.tool_calls is None
    check_weather(choice.message.function_call.arguments)
    messages = [
        *ASKED,
        {"role": "assistant", "content": None, "function_call": choice.message.function_call.model_dump()},
        {"role": "function", "name": "get_weather", "content": '{"temperature": 21}'},
    ]
    last = call(client, functions=[function], messages=messages).choices[0]
    assert last.finish_reason in {"stop", "length", "function_call"}


def test_parse_returns_a_pydantic_object(client: OpenAI) -> None:
    reply = client.chat.completions.parse(
        model=CHAT, messages=ASKED, response_format=Answer, max_tokens=200, temperature=1.2, seed=3
    )
    message = reply.choices[0].message
    assert isinstance(message.parsed, Answer)
    assert message.refusal is None
    assert reply.choices[0].finish_reason == "stop"
    assert message.content == message.parsed.model_dump_json(), "the JSON is compact"


def test_parse_returns_the_arguments_of_pydantic_tools(client: OpenAI) -> None:
    reply = client.chat.completions.parse(
        model=CHAT,
        messages=ASKED,
        tools=[openai.pydantic_function_tool(GetWeather)],
        tool_choice="required",
        parallel_tool_calls=False,
        max_tokens=200,
    )
    (called,) = reply.choices[0].message.tool_calls or ()
    assert isinstance(called.function.parsed_arguments, GetWeather)


# The client warns of its own type for `parsed`.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_what_parse_returned_is_sent_back_as_it_is(client: OpenAI) -> None:
    """The client writes what it parsed into the messages that it sends, too."""
    tools = [openai.pydantic_function_tool(GetWeather)]
    called = client.chat.completions.parse(
        model=CHAT, messages=ASKED, tools=tools, tool_choice="required", parallel_tool_calls=False, max_tokens=200
    )
    message = called.choices[0].message
    (made,) = message.tool_calls or ()
    result = {"role": "tool", "tool_call_id": made.id, "content": '{"temperature": 21}'}
    after_call = call(client, tools=tools, messages=[*ASKED, message, result])
    assert after_call.choices[0].finish_reason in {"stop", "length", "tool_calls"}
    parsed = client.chat.completions.parse(model=CHAT, messages=ASKED, response_format=Answer, max_tokens=200)
    after_answer = call(client, messages=[*ASKED, parsed.choices[0].message, *ASKED])
    assert after_answer.choices[0].finish_reason in {"stop", "length"}


def test_the_stream_helper_parses_what_comes(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=CHAT, messages=ASKED, response_format=Answer, max_tokens=200, seed=3
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert isinstance(final.choices[0].message.parsed, Answer)


def test_the_stream_helper_tells_of_calls(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=CHAT,
        messages=ASKED,
        tools=[openai.pydantic_function_tool(GetWeather)],
        tool_choice="required",
        parallel_tool_calls=False,
        max_tokens=200,
    ) as stream:
        kinds = [event.type for event in stream]
        (called,) = stream.get_final_completion().choices[0].message.tool_calls or ()
    assert "tool_calls.function.arguments.delta" in kinds
    assert kinds.count("tool_calls.function.arguments.done") == 1
    assert isinstance(called.function.parsed_arguments, GetWeather)


def test_any_json_object_is_one_line_of_json(client: OpenAI) -> None:
    schema = {"type": "json_object"}
    reply = call(client, response_format=schema, temperature=0)
    text = reply.choices[0].message.content
    assert text.startswith("{")
    if reply.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


def test_the_loop_of_a_tool_and_its_result(client: OpenAI) -> None:
    messages: list[Any] = list(ASKED)
    first = call(client, messages=messages, tools=[WEATHER], tool_choice="required", temperature=0).choices[0].message
    messages.append(first)
    messages += [
        {"role": "tool", "tool_call_id": called.id, "content": '{"temperature": 21}'} for called in first.tool_calls
    ]
    last = call(client, messages=messages, tools=[WEATHER], tool_choice="none", temperature=0).choices[0].message
    assert last.content


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#/a"}, "strict": True}}},
            "response_format",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"not": {}}, "strict": True}}]},
            "tools[0].function.parameters",
        ),
        ({"functions": [{"name": "f", "parameters": {"type": "banana"}}]}, "functions[0].parameters"),
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_enforced_is_refused_by_name(
    client: OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        call(client, **fields)
    assert raised.value.param == param
    assert "Invalid schema for " in raised.value.message
    with pytest.raises(openai.BadRequestError):
        list(call(client, **fields, stream=True))


def test_models_say_that_they_can(client: OpenAI) -> None:
    capabilities = client.models.retrieve(CHAT).to_dict()["capabilities"]
    assert {"chat", "tools", "structured_output"} <= set(capabilities)
