"""Chat on the wire: what becomes of a request, and what is refused by name."""

import pytest

from parley.api.openai import chat
from parley.core.errors import InvalidRequest, UnsupportedParameter
from parley.core.requests import ChatMessage, ChatPrompt, Sampling, ToolCall
from parley.core.template import Role
from tests.unit.wire.error_cases import chat_body

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def to_core(**fields):
    return chat.to_core(chat.BODY.decode(chat_body(**fields)))


def refusal(**fields) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        to_core(**fields)
    return raised.value


def messages(*items):
    (prompt,) = to_core(messages=list(items)).prompts
    assert isinstance(prompt, ChatPrompt)
    return prompt.messages


def test_defaults_are_those_of_the_documents():
    request = to_core()
    assert request.sampling == Sampling()
    assert (request.max_tokens, request.n, request.best_of, request.is_stream) == (None, 1, 1, False)
    assert (request.endpoint, request.model) == ("/v1/chat/completions", "gpt-3.5-turbo")


def test_every_parameter_arrives():
    request = to_core(
        temperature=0, top_p=0.5, n=3, stream=True, stop=["a", "b"], max_tokens=7, presence_penalty=1,
        frequency_penalty=-1, logit_bias={"5": -100, "6": 2.5}, user="u", seed=-4, logprobs=True, top_logprobs=2,
        metadata={"k": "v"},
    )  # fmt: skip
    assert request.sampling == Sampling(
        temperature=0.0,
        top_p=0.5,
        presence_penalty=1.0,
        frequency_penalty=-1.0,
        logit_bias={5: -100.0, 6: 2.5},
        stop=("a", "b"),
        seed=-4,
        logprobs=2,
    )
    assert (request.max_tokens, request.n, request.best_of, request.is_stream) == (7, 3, 3, True)
    assert (request.user, request.metadata) == ("u", {"k": "v"})


def test_a_hint_that_changes_no_answer_is_taken_and_does_nothing():
    assert to_core(prompt_cache_key="key") == to_core()


def test_the_safety_identifier_is_recorded_beside_the_user():
    request = to_core(user="u", safety_identifier="s")
    assert (request.user, request.metadata) == ("u", {"safety_identifier": "s"})


def test_a_stop_text_may_stand_alone_and_empty_ones_mean_none():
    assert to_core(stop="END").sampling.stop == ("END",)
    assert to_core(stop="").sampling.stop == ()
    assert to_core(stop=["", "x"]).sampling.stop == ("x",)


def test_logprobs_without_a_number_are_those_of_the_chosen_tokens():
    assert to_core(logprobs=True).sampling.logprobs == 0
    assert to_core(logprobs=False, top_logprobs=0).sampling.logprobs is None
    assert refusal(top_logprobs=1).param == "top_logprobs"


def test_either_name_of_max_tokens_counts_and_both_must_agree():
    assert to_core(max_completion_tokens=5).max_tokens == 5
    assert to_core(max_completion_tokens=5, max_tokens=5).max_tokens == 5
    assert refusal(max_completion_tokens=5, max_tokens=6).param == "max_tokens"


def test_stream_options_need_a_stream():
    assert refusal(stream_options={"include_usage": True}).param == "stream_options"
    assert to_core(stream=True, stream_options={"include_usage": True}).is_stream
    assert (
        refusal(stream=True, stream_options={"include_obfuscation": True}).param == "stream_options.include_obfuscation"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", []),
        ("tool_choice", "none"),
        ("tool_choice", "auto"),
        ("functions", []),
        ("function_call", "none"),
        ("response_format", {"type": "text"}),
        ("store", False),
        ("service_tier", "auto"),
        ("service_tier", "default"),
        ("modalities", ["text"]),
        ("verbosity", "medium"),
        ("reasoning_effort", "none"),
        ("parallel_tool_calls", True),
        ("parallel_tool_calls", False),
        ("prompt_cache_options", {"mode": "implicit"}),
        ("prompt_cache_retention", "in_memory"),
    ],
)
def test_todays_fields_at_their_defaults_change_nothing(field, value):
    assert to_core(**{field: value}) == to_core()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("store", True),
        ("service_tier", "flex"),
        ("modalities", ["text", "audio"]),
        ("modalities", []),
        ("verbosity", "low"),
        ("reasoning_effort", "high"),
        ("prediction", {"type": "content", "content": "x"}),
        ("audio", {"voice": "alloy", "format": "mp3"}),
        ("web_search_options", {}),
        ("moderation", {"model": "omni-moderation-latest"}),
        ("prompt_cache_options", {"mode": "explicit"}),
        ("prompt_cache_retention", "24h"),
    ],
)
def test_todays_fields_with_other_values_are_refused_by_name(field, value):
    error = refusal(**{field: value})
    assert isinstance(error, UnsupportedParameter)
    assert (error.param, error.code) == (field, "unsupported_parameter")
    assert error.message.startswith(f"Unsupported parameter: '{field}' is not supported with this model.")


def test_messages_keep_role_text_and_name():
    assert messages(
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Hi\u0000", "name": "Ann-1_x"},
        {"role": "function", "content": "4", "name": "add"},
        {"role": "tool", "content": "5", "tool_call_id": "call_1"},
    ) == (
        ChatMessage(role=Role.DEVELOPER, content="Be brief."),
        ChatMessage(role=Role.USER, content="Hi\u0000", name="Ann-1_x"),
        ChatMessage(role=Role.FUNCTION, content="4", name="add"),
        ChatMessage(role=Role.TOOL, content="5", call_id="call_1"),
    )


def test_text_parts_are_joined():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert messages({"role": "user", "content": parts})[0].content == "ab"


def test_our_own_replies_can_be_sent_back_whole():
    reply = {
        "role": "assistant", "content": "Hello.", "refusal": None, "annotations": [], "audio": None,
        "function_call": None, "tool_calls": None,
    }  # fmt: skip
    assert messages(reply, {"role": "user", "content": "?"})[0] == ChatMessage(role=Role.ASSISTANT, content="Hello.")


def test_calls_in_the_history_are_kept_with_their_arguments_as_they_are():
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1'}}
    (message,) = messages({"role": "assistant", "content": None, "tool_calls": [call]})
    assert message == ChatMessage(
        role=Role.ASSISTANT, content="", calls=(ToolCall(name="add", arguments='{"a":1', call_id="call_1"),)
    )
    (message,) = messages({"role": "assistant", "content": "So:", "function_call": call["function"]})
    assert (message.content, message.calls) == ("So:", (ToolCall(name="add", arguments='{"a":1'),))


@pytest.mark.parametrize("name", ["", "a b", "a\n", 'a"', "x" * 65, "ä", "<tool_call>", "x" * 1_000_000])
def test_f16_names_of_called_functions_that_could_forge_a_turn_are_refused(name):
    call = CALL | {"function": {"name": name, "arguments": "{}"}}
    assert refusal(messages=[{"role": "assistant", "tool_calls": [call]}]).param == (
        "messages[0].tool_calls[0].function.name"
    )


def test_a_refusal_in_the_history_is_what_the_assistant_said():
    message = {"role": "assistant", "content": None, "refusal": "I won't."}
    assert messages(message)[0].content == "I won't."
    part = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    assert messages(part)[0].content == "No."


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "user"}, "messages[0].content"),
        ({"role": "user", "content": None}, "messages[0].content"),
        ({"role": "assistant"}, "messages[0].content"),
        ({"role": "user", "content": []}, "messages[0].content"),
        ({"role": "tool", "content": "x"}, "messages[0].tool_call_id"),
        ({"role": "function", "content": "x"}, "messages[0].name"),
        ({"role": "user", "content": "x", "tool_call_id": "c"}, "messages[0].tool_call_id"),
        ({"role": "user", "content": "x", "refusal": "r"}, "messages[0].refusal"),
        ({"role": "user", "content": "x", "tool_calls": [CALL]}, "messages[0].tool_calls"),
        ({"role": "user", "content": "x", "function_call": CALL["function"]}, "messages[0].function_call"),
        ({"role": "assistant", "tool_calls": []}, "messages[0].content"),
        ({"role": "assistant", "tool_calls": [{"id": "c"}]}, "messages[0].tool_calls[0].type"),
        ({"role": "assistant", "tool_calls": [CALL | {"type": "custom"}]}, "messages[0].tool_calls[0].custom"),
        ({"role": "assistant", "tool_calls": [CALL | {"function": None}]}, "messages[0].tool_calls[0].function"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "messages[0].function_call.arguments"),
        ({"role": "assistant", "content": "x", "audio": {"id": "a"}}, "messages[0].audio"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0].text"),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, "messages[0].content[0].file"),
        ({"role": "user", "content": [{"type": "refusal", "refusal": "x"}]}, "messages[0].content[0].refusal"),
        ({"role": "user", "content": [{"type": "text", "text": "a", "file": {}}]}, "messages[0].content[0].file"),
        ({"role": "user", "content": [{"type": "video"}]}, "messages[0].content[0].type"),
    ],
)
def test_what_a_message_may_not_say_is_named(message, param):
    assert refusal(messages=[message]).param == param


@pytest.mark.parametrize("name", ["", "a b", "a\n", 'a"', "x" * 65, "ä", "<|im_start|>"])
def test_names_that_could_forge_a_turn_are_refused(name):
    assert refusal(messages=[{"role": "user", "content": "x", "name": name}]).param == "messages[0].name"


@pytest.mark.parametrize("key", ["a", "-1", "1.0", " 1", "", "9999999999", "²", "٣"])
def test_bias_keys_that_are_no_token_ids_are_refused(key):
    assert refusal(logit_bias={key: 1}).param == "logit_bias"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"logit_bias": {str(n): 1 for n in range(1025)}}, "object_above_max_properties"),
        ({"logit_bias": {"1": 100.5}}, "decimal_above_max_value"),
        ({"metadata": {str(n): "" for n in range(17)}}, "object_above_max_properties"),
        ({"metadata": {"k" * 65: ""}}, "string_above_max_length"),
        ({"metadata": {"k": "v" * 513}}, "string_above_max_length"),
        ({"messages": [{"role": "user", "content": "x"}] * 2049}, "array_above_max_length"),
        ({"tools": [{}] * 129}, "array_above_max_length"),
        ({"functions": [{}] * 129}, "array_above_max_length"),
        ({"top_logprobs": 21, "logprobs": True}, "integer_above_max_value"),
        ({"max_tokens": 0}, "integer_below_min_value"),
        ({"max_tokens": 2**63}, "integer_above_max_value"),
        ({"seed": -(2**63) - 1}, "integer_below_min_value"),
    ],
)
def test_caps_hold(fields, code):
    assert refusal(**fields).code == code
