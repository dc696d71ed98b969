"""Tools, 2023's functions and response_format on the wire: what they become, what is refused by name, how calls are told."""

import json

import msgspec
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from parley.api.explain.decode import JsonBody
from parley.api.openai import chat, edits
from parley.api.openai.choices import CallForm, call_form
from parley.api.openai.frames import ChatFrames
from parley.api.openai.pattern_size import written_out_size
from parley.api.openai.schemas.chat import CreateChatCompletionRequest
from parley.core.errors import InvalidRequest, ParleyError, UnsupportedParameter
from parley.core.events import (
    CallDelta,
    CallStarted,
    Delta,
    Finished,
    FinishReason,
    RefusalDelta,
    SequenceFinished,
)
from parley.core.requests import AnswerLabel, ToolChoice
from tests.builders_wire import HEAD, USAGE

BODY = JsonBody(CreateChatCompletionRequest)
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "description": "Weather", "parameters": CITY}
TOOL = {"type": "function", "function": WEATHER}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": CITY}}


def core(**fields):
    body = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return chat.to_core(BODY.decode(json.dumps(body).encode()))


def tools_of(**fields):
    return core(**fields).prompts[0].tools


def answer_of(response_format):
    return core(response_format=response_format).prompts[0].answer


def refusal(**fields) -> ParleyError:
    with pytest.raises(InvalidRequest) as raised:
        core(**fields)
    return raised.value


def test_a_tool_becomes_a_function():
    tools = tools_of(tools=[TOOL, {"type": "function", "function": {"name": "ping", "strict": True}}])
    weather, ping = tools.functions
    assert (weather.name, weather.description, json.loads(weather.parameters.text)) == ("get_weather", "Weather", CITY)
    assert (weather.parameters.subject, weather.parameters.param, weather.is_strict) == (
        "function 'get_weather'", "tools[0].function.parameters", False,
    )  # fmt: skip
    assert (ping.name, ping.description, ping.parameters, ping.is_strict) == ("ping", None, None, True)
    assert (tools.choice, tools.only, tools.is_parallel, tools.field) == (ToolChoice.AUTO, None, True, "tools")


@pytest.mark.parametrize(("kind", "told"), [("string", "string"), (["string", "null"], "string, null")])
def test_arguments_that_are_no_object_are_refused_by_name(kind, told):
    declared = {**WEATHER, "parameters": {"type": kind}}
    error = refusal(tools=[TOOL, {"type": "function", "function": declared}])
    assert (error.code, error.param) == ("invalid_function_parameters", "tools[1].function.parameters")
    assert error.message == (
        "Invalid schema for function 'get_weather': schema must be a JSON Schema of 'type: \"object\"', "
        f"got 'type: \"{told}\"'."
    )
    assert refusal(functions=[declared]).param == "functions[0].parameters"


@pytest.mark.parametrize("parameters", [{}, {"type": ["object", "null"]}, {"type": 5}, {"properties": {}}])
def test_a_schema_that_may_be_one_of_an_object_is_taken(parameters):
    (weather,) = tools_of(tools=[{"type": "function", "function": {**WEATHER, "parameters": parameters}}]).functions
    assert json.loads(weather.parameters.text) == parameters


def test_a_schemas_keys_keep_their_order():
    parameters = {"type": "object", "properties": {"z": {}, "a": {}, "m": {}}}
    (function,) = tools_of(tools=[{"type": "function", "function": {"name": "f", "parameters": parameters}}]).functions
    assert list(json.loads(function.parameters.text)["properties"]) == ["z", "a", "m"]


@pytest.mark.parametrize(
    ("fields", "choice", "only"),
    [
        ({}, ToolChoice.AUTO, None),
        ({"tool_choice": "auto"}, ToolChoice.AUTO, None),
        ({"tool_choice": "required"}, ToolChoice.REQUIRED, None),
        ({"tool_choice": NAMED}, ToolChoice.AUTO, "get_weather"),
    ],
)
def test_what_the_client_chooses(fields, choice, only):
    tools = tools_of(tools=[TOOL], **fields)
    assert (tools.choice, tools.only) == (choice, only)


def test_none_means_that_no_tool_is_even_declared():
    assert tools_of(tools=[TOOL], tool_choice="none") is None
    assert tools_of(functions=[WEATHER], function_call="none") is None
    assert tools_of(tools=[]) is None


def test_calls_are_parallel_unless_the_client_says_no():
    assert tools_of(tools=[TOOL], parallel_tool_calls=True).is_parallel
    assert not tools_of(tools=[TOOL], parallel_tool_calls=False).is_parallel


@pytest.mark.parametrize(("choice", "only"), [("auto", None), ({"name": "get_weather"}, "get_weather")])
def test_functions_of_2023_are_the_same_thing(choice, only):
    tools = tools_of(functions=[WEATHER], function_call=choice)
    assert (tools.functions[0].name, tools.only, tools.is_parallel) == ("get_weather", only, False)
    assert tools.functions[0].parameters.param == "functions[0].parameters"
    assert (tools.field, tools.choice_field) == ("functions", "function_call")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"tool_choice": NAMED}, "tool_choice", "invalid_value"),
        ({"function_call": {"name": "f"}}, "function_call", "invalid_value"),
        ({"tools": [TOOL], "tool_choice": "maybe"}, "tool_choice", "invalid_value"),
        ({"tools": [TOOL], "tool_choice": {"type": "function"}}, "tool_choice.function", "missing_required_parameter"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "nobody"}}},
            "tool_choice", "invalid_value",
        ),
        ({"functions": [WEATHER], "function_call": {"name": "nobody"}}, "function_call", "invalid_value"),
        ({"functions": [WEATHER], "tools": [TOOL]}, "functions", "invalid_value"),
        ({"functions": [WEATHER], "tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tools": [{"function": WEATHER}]}, "tools[0].type", "missing_required_parameter"),
        ({"tools": [{"type": "retrieval"}]}, "tools[0].type", "invalid_value"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_required_parameter"),
        ({"tools": [{"type": "function", "function": WEATHER | {"x": 1}}]}, "tools[0].function.x", "unknown_parameter"),
        ({"tools": "get_weather"}, "tools", "invalid_type"),
        ({"tools": [TOOL] * 129}, "tools", "array_above_max_length"),
        (
            {"tools": [{"type": "function", "function": WEATHER | {"description": "x" * 1025}}]},
            "tools[0].function.description", "string_above_max_length",
        ),
        ({"functions": [WEATHER | {"strict": True}]}, "functions[0].strict", "unknown_parameter"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        ({"response_format": {}}, "response_format.type", "missing_required_parameter"),
        ({"response_format": "json"}, "response_format", "invalid_type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
        ({"response_format": {"type": "json_object"} | SCHEMA | {"type": "text"}}, "response_format.json_schema", "unknown_parameter"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": CITY}}},
            "response_format.json_schema.name", "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
            "response_format.json_schema.name", "invalid_value",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": []}}},
            "response_format.json_schema.schema", "invalid_type",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(fields, param, code):
    error = refusal(**fields)
    assert (error.param, error.code) == (param, code)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].custom"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom", "custom": {"name": "f"}}}, "tool_choice.custom"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice.allowed_tools"),
    ],
)
def test_todays_other_kinds_of_tools_are_refused_by_name(fields, param):
    error = refusal(**fields)
    assert isinstance(error, UnsupportedParameter)
    assert error.param == param


@pytest.mark.parametrize("name", ["", "a b", "a\n", 'a"', "x" * 65, "ä", "<tool_call>", "x" * 1_000_000])
def test_f16_a_functions_name_is_nothing_but_a_name(name):
    assert refusal(tools=[{"type": "function", "function": {"name": name}}]).param == "tools[0].function.name"
    assert refusal(functions=[{"name": name}]).param == "functions[0].name"


def nested(levels: int) -> dict:
    schema: dict = {"type": "string"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"description": "x" * 65_536}, "65554 bytes"),
        (nested(32), "32 levels"),
        ({"properties": {f"{i}": True for i in range(5_001)}}, "5001 properties"),
        ({"anyOf": [{"enum": list(range(501))}, {"enum": list(range(500))}]}, "1001 enum values"),
        ({"pattern": "a" * 10_001}, "10001 characters in a pattern"),
        ({"pattern": "((a{1,100}){1,100}){2}"}, "20000 characters in a pattern"),
        ({"patternProperties": {"[a-z]{10001}": {}}}, "10001 characters in a pattern"),
        ({"properties": {"a": {"items": {}, "maxItems": 10_001}}}, "'maxItems' is larger than 10000"),
        ({"minItems": 1e300}, "'minItems' is larger than 10000"),
        ({"maxLength": 100_001}, "'maxLength' is larger than 100000"),
        ({"x-guidance": {"lenient": True}}, "x-guidance"),
        ({"properties": {"a": {"x-guidance": {"lenient": True}}}}, "x-guidance"),
    ],
)
def test_f9_a_schema_beyond_the_bounds_is_refused_unread(schema, says):
    asked = {"type": "json_schema", "json_schema": {"name": "big", "schema": schema}}
    error = refusal(response_format=asked)
    assert error.param == "response_format"
    assert error.message.startswith("Invalid schema for response_format 'big': ")
    assert says in error.message
    error = refusal(tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])
    assert error.param == "tools[0].function.parameters"
    assert error.message.startswith("Invalid schema for function 'f': ")


def test_f9_schemas_that_are_too_much_together_are_refused():
    large = {"name": "f", "parameters": {"description": "x" * 60_000}}
    assert len(tools_of(functions=[large] * 4).functions) == 4
    error = refusal(functions=[large] * 5)
    assert (error.param, error.code) == ("functions", "invalid_value")


def test_f9_a_schema_at_the_bounds_is_read():
    assert answer_of({"type": "json_schema", "json_schema": {"name": "x", "schema": nested(31)}}) is not None
    wide = {
        "properties": {f"{i}": True for i in range(5_000)},
        "enum": list(range(1_000)),
        "pattern": "a{10000}",
        "maxItems": 10_000,
    }
    assert answer_of({"type": "json_schema", "json_schema": {"name": "x", "schema": wide}}) is not None


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("", 0),
        ("abc", 3),
        (r"\d{4}-\d{2}", 7),
        (r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}$", 8 + 15 + 2),
        (r"[^]\]]{3}", 3),
        (r"(a|bc){2,5}", 20),
        (r"a{2,}b{0}", 3),
        (r"\{9}{9}", 2 + 9),
        ("((((", 0),
        (")a{3}", 4),
        ("[" * 5, 1),
        ("a{99999999999}", 14),
    ],
)
def test_a_pattern_is_as_large_as_it_is_written_out(pattern, size):
    assert written_out_size(pattern) == size


def test_a_response_format_becomes_a_schema():
    answer = answer_of(SCHEMA)
    assert json.loads(answer.text) == CITY
    assert (answer.subject, answer.param) == ("response_format 'answer'", "response_format")
    assert answer.label == AnswerLabel(name="answer")
    declared = {"name": "answer", "description": "Of a city", "schema": CITY, "strict": False}
    label = answer_of({"type": "json_schema", "json_schema": declared}).label
    assert label == AnswerLabel(name="answer", description="Of a city", is_strict=False)
    assert json.loads(answer_of({"type": "json_object"}).text) == {"type": "object"}
    assert answer_of({"type": "json_object"}).label is None
    assert json.loads(answer_of({"type": "json_schema", "json_schema": {"name": "x"}}).text) == {"type": "object"}
    assert answer_of({"type": "text"}) is None


CALLS = [
    Delta(0, "I look.", 2),
    CallStarted(0, 0, "call_a", "get_weather"),
    CallDelta(0, 0, '{"city": '),
    CallDelta(0, 0, '"Paris"}'),
    CallStarted(0, 1, "call_b", "ping"),
    CallDelta(0, 1, "{}"),
    SequenceFinished(0, FinishReason.TOOL_CALLS),
]


def reply(events, **asked) -> ChatCompletion:
    wire = chat.to_wire(HEAD, core(**asked), [*events, Finished(USAGE)])
    return ChatCompletion.model_validate_json(msgspec.json.encode(wire), strict=True)


def chunks(events, **asked) -> list[ChatCompletionChunk]:
    frames = ChatFrames(HEAD, num_top=None, include_usage=False, form=call_form(core(**asked)))
    sent = b"".join(frames(event) for event in [*events, Finished(USAGE)])
    *lines, done = sent.decode().split("\n\n")[:-1]
    assert done == "data: [DONE]"
    return [ChatCompletionChunk.model_validate_json(line.removeprefix("data: ")) for line in lines]


def test_calls_in_a_reply():
    (choice,) = reply(CALLS).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "I look."
    assert choice.message.refusal is None
    told = [(call.id, call.type, call.function.name, call.function.arguments) for call in choice.message.tool_calls]
    assert told == [
        ("call_a", "function", "get_weather", '{"city": "Paris"}'),
        ("call_b", "function", "ping", "{}"),
    ]
    assert choice.message.function_call is None


def test_a_reply_that_only_calls_has_no_content():
    assert reply(CALLS[1:]).choices[0].message.content is None


def test_a_call_as_2023_knew_it():
    (choice,) = reply([*CALLS[1:4], CALLS[-1]], functions=[WEATHER]).choices
    assert choice.finish_reason == "function_call"
    assert (choice.message.function_call.name, choice.message.function_call.arguments) == (
        "get_weather", '{"city": "Paris"}',
    )  # fmt: skip
    assert choice.message.tool_calls is None


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"tools": [TOOL]}, "tool_calls"),
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_calls"),
        ({"tools": [TOOL], "tool_choice": NAMED}, "stop"),
        ({"functions": [WEATHER], "function_call": "auto"}, "function_call"),
        ({"functions": [WEATHER], "function_call": {"name": "get_weather"}}, "stop"),
    ],
)
def test_a_call_of_the_function_that_was_named_ends_with_stop_as_openais_does(asked, reason):
    called = [*CALLS[1:4], CALLS[-1]]
    assert reply(called, **asked).choices[0].finish_reason == reason
    assert chunks(called, **asked)[-1].choices[0].finish_reason == reason


def test_a_call_of_a_named_function_that_was_cut_ends_for_its_length():
    cut = [CALLS[1], CALLS[2], SequenceFinished(0, FinishReason.LENGTH)]
    assert reply(cut, tools=[TOOL], tool_choice=NAMED).choices[0].finish_reason == "length"


def test_a_call_that_was_cut_ends_for_its_length():
    cut = [CALLS[1], CALLS[2], SequenceFinished(0, FinishReason.LENGTH)]
    assert reply(cut).choices[0].finish_reason == "length"
    assert reply(cut, functions=[WEATHER]).choices[0].finish_reason == "length"


def test_a_streamed_call_says_its_name_first_and_then_its_arguments():
    said = [json.loads(chunk.choices[0].delta.model_dump_json(exclude_unset=True)) for chunk in chunks(CALLS[1:4])]
    assert said == [
        {"role": "assistant", "content": None, "refusal": None},
        {"tool_calls": [{"index": 0, "id": "call_a", "type": "function", "function": {"name": "get_weather", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]},
    ]  # fmt: skip


def test_a_streamed_call_whose_first_token_told_no_text_has_no_content_either():
    first = chunks([Delta(0, "", 1), *CALLS[1:4]])[0].choices[0].delta
    assert json.loads(first.model_dump_json(exclude_unset=True)) == {
        "role": "assistant", "content": None, "refusal": None,
    }  # fmt: skip


REFUSAL = [
    Delta(0, "", 1),
    RefusalDelta(0, "I'm sorry,\u2028"),
    RefusalDelta(0, "no."),
    SequenceFinished(0, FinishReason.STOP),
]


def test_a_refusal_stands_in_its_own_field_and_there_is_no_content():
    (choice,) = reply(REFUSAL).choices
    assert (choice.message.content, choice.message.refusal) == (None, "I'm sorry,\u2028no.")
    assert choice.finish_reason == "stop"


def test_an_edit_whose_reply_has_no_place_for_a_refusal_has_it_as_its_text():
    (choice,) = edits.to_wire(HEAD, core(), [*REFUSAL, Finished(USAGE)]).choices
    assert choice.text == "I'm sorry,\u2028no."


def test_a_streamed_refusal_is_put_together_by_the_official_client():
    streamed = chunks(REFUSAL)
    assert streamed[0].choices[0].delta.content is None
    state = ChatCompletionStreamState()
    for chunk in streamed:
        state.handle_chunk(chunk)
    message = state.get_final_completion().choices[0].message
    assert (message.content, message.refusal) == (None, "I'm sorry,\u2028no.")


def test_the_official_client_puts_streamed_calls_together():
    state = ChatCompletionStreamState()
    for chunk in chunks(CALLS):
        state.handle_chunk(chunk)
    whole = state.get_final_completion().choices[0]
    assert whole.finish_reason == "tool_calls"
    assert whole.message.content == "I look."
    assert [(call.id, call.function.arguments) for call in whole.message.tool_calls] == [
        ("call_a", '{"city": "Paris"}'),
        ("call_b", "{}"),
    ]


def test_a_streamed_call_as_2023_knew_it():
    *said, last = chunks([*CALLS[1:4], CALLS[-1]], functions=[WEATHER])
    deltas = [chunk.choices[0].delta.function_call for chunk in said[1:]]
    assert [(delta.name, delta.arguments) for delta in deltas] == [
        ("get_weather", ""),
        (None, '{"city": '),
        (None, '"Paris"}'),
    ]
    assert last.choices[0].finish_reason == "function_call"


def test_line_ends_in_arguments_do_not_cut_a_stream():
    frame = ChatFrames(HEAD, num_top=None, include_usage=False, form=CallForm())(
        CallDelta(0, 0, '{"a":"\u2028\x85\n"}')
    )
    assert len(frame.decode().strip().splitlines()) == 3, "the opening, a blank line and the chunk"
