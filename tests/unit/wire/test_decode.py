"""The decoding of bodies: right ones pass at once, and whatever else comes is a 400 that names what is wrong."""

import contextlib
import json
import sys
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from parley.api.explain.decode import JsonBody
from parley.api.explain.walk import first_fault
from parley.api.openai import chat, completions, edits
from parley.api.openai.schemas.chat import ChatCompletionRequestMessage
from parley.api.openai.schemas.shared import RequestStruct
from parley.api.platform.schemas import requests
from parley.core.errors import InvalidRequest
from tests.unit.wire.error_cases import chat_body

BODIES: dict[str, tuple[JsonBody[Any], Any]] = {
    "chat": (chat.BODY, chat.to_core),
    "completions": (completions.BODY, lambda body: completions.to_core(body, body.model)),
    "engine completions": (completions.ENGINE_BODY, lambda body: completions.to_core(body, "davinci")),
    "edits": (edits.BODY, lambda body: edits.to_core(body, body.model)),
    "engine edits": (edits.ENGINE_BODY, lambda body: edits.to_core(body, "text-davinci-edit-001")),
}
RIGHT = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "Hello"}]},
    "completions": {"model": "m", "prompt": "Hello"},
    "engine completions": {"prompt": "Hello"},
    "edits": {"model": "m", "instruction": "Fix it."},
    "engine edits": {"instruction": "Fix it."},
}
FIELDS = [
    (endpoint, field) for endpoint, (body, _) in BODIES.items() for field in body.wire_type.__struct_encode_fields__
]
NUMERIC = [
    (endpoint, field)
    for endpoint, field in FIELDS
    if field
    in {
        "temperature", "top_p", "n", "presence_penalty", "frequency_penalty", "seed", "max_tokens",
        "max_completion_tokens", "top_logprobs", "best_of",
    }
]  # fmt: skip
ADMINISTRATION = [
    (wire_type, field)
    for wire_type in vars(requests).values()
    if isinstance(wire_type, type) and issubclass(wire_type, RequestStruct) and wire_type is not RequestStruct
    for field in wire_type.__struct_encode_fields__
]
MESSAGE_FIELDS = ChatCompletionRequestMessage.__struct_encode_fields__
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def refusal(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        chat.BODY.decode(body)
    return raised.value


@given(place=st.sampled_from(FIELDS), value=ANY_JSON)
@settings(max_examples=600, deadline=None)
def test_any_value_of_any_field_is_taken_or_refused(place, value):
    endpoint, field = place
    body, to_core = BODIES[endpoint]
    raw = msgspec.json.encode(RIGHT[endpoint] | {field: value})
    # Any other exception fails the test.
    with contextlib.suppress(InvalidRequest):
        to_core(body.decode(raw))


@given(place=st.sampled_from(FIELDS), value=ANY_JSON)
@settings(max_examples=600, deadline=None)
def test_the_slow_path_finds_a_fault_exactly_where_the_strict_pass_refuses(place, value):
    endpoint, field = place
    wire_type = BODIES[endpoint][0].wire_type
    # Through JSON, so that both see what a client sends.
    raw = msgspec.json.encode(RIGHT[endpoint] | {field: value})
    try:
        msgspec.json.decode(raw, type=wire_type)
        is_right = True
    except msgspec.ValidationError:
        is_right = False
    assert (first_fault(msgspec.json.decode(raw), wire_type) is None) == is_right


@given(message=st.dictionaries(st.sampled_from(MESSAGE_FIELDS), ANY_JSON | st.sampled_from(["user", "tool"])))
@settings(max_examples=300, deadline=None)
def test_any_message_is_taken_or_refused(message):
    raw = msgspec.json.encode(RIGHT["chat"] | {"messages": [{"role": "assistant"} | message]})
    with contextlib.suppress(InvalidRequest):
        chat.to_core(chat.BODY.decode(raw))


@given(body=st.binary(max_size=64))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_refused_and_nothing_worse(body):
    refusal(body)


def is_optional(endpoint: str, field: str) -> bool:
    wire_type = BODIES[endpoint][0].wire_type
    return not next(known.required for known in msgspec.structs.fields(wire_type) if known.name == field)


@pytest.mark.parametrize(("endpoint", "field"), [place for place in FIELDS if is_optional(*place)])
def test_null_is_absent_for_every_optional_field(endpoint, field):
    body, to_core = BODIES[endpoint]
    without = {name: value for name, value in RIGHT[endpoint].items() if name != field}
    with_null = to_core(body.decode(msgspec.json.encode(without | {field: None})))
    assert with_null == to_core(body.decode(msgspec.json.encode(without)))


@pytest.mark.parametrize(("endpoint", "field"), [place for place in FIELDS if not is_optional(*place)])
def test_a_required_field_that_is_absent_or_null_is_named(endpoint, field):
    body, _ = BODIES[endpoint]
    without = {name: value for name, value in RIGHT[endpoint].items() if name != field}
    for wrong in (without, without | {field: None}):
        with pytest.raises(InvalidRequest) as raised:
            body.decode(msgspec.json.encode(wrong))
        assert raised.value.param == field


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "-1e999", "1" * 5000])
@pytest.mark.parametrize(("endpoint", "field"), NUMERIC)
def test_numbers_that_are_none_are_refused(endpoint, field, text):
    raw = json.dumps(RIGHT[endpoint]).removesuffix("}") + f', "{field}": {text}}}'
    with pytest.raises(InvalidRequest):
        BODIES[endpoint][0].decode(raw.encode())


@pytest.mark.parametrize("value", ["true", '"3"', "2.0", str(2**63), str(10**30), "[]", "{}"])
def test_what_is_no_integer_within_64_bits_is_refused_by_name(value):
    body = chat_body().removesuffix(b"}") + f', "seed": {value}}}'.encode()
    assert refusal(body).param == "seed"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b'{"model": "\xff"}',
        b'{"model": "\xc0\x80"}',
        b'{"model": "\\ud800"}',
        b'{"model": "m"} trailing',
        b'\xef\xbb\xbf{"model": "m"}',
        '{"model": "m"}'.encode("utf-16"),
        b"{'model': 'm'}",
    ],
)
def test_what_is_not_json_in_utf_8_is_called_so(body):
    assert refusal(body).message.startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize("depth", [65, 1_000, 30_000])
def test_more_than_64_levels_are_refused(depth):
    assert "nested too deeply" in refusal(b"[" * depth + b"]" * depth).message


@pytest.mark.parametrize(
    "values",
    [
        b"[" * 1_000_000,
        b"[" + b"[]," * 1_300_000 + b"1]",
        b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
        b"[" + b"{}," * 40_000 + b"1]",
        b"[" + b'"",' * 1_300_000 + b'""]',
        b"[" + b'"[",' * 700_000 + b"1]",
        b"{" + b",".join(b'"%d":0' % n for n in range(300_000)) + b"}",
        b"[" + b'"\\\\",' * 200_000 + b"1]",
        b"[" + b'"\\"[",[],' * 40_000 + b"1]",
    ],
    ids=["deep", "[]", "deep {}", "{}", "strings", "brackets in strings", "keys", "escapes", "both"],
)
@pytest.mark.parametrize("field", ["messages", "tools", "prediction", "nonsense"])
def test_f12_a_body_of_too_many_values_is_refused_before_anything_is_made_of_them(field, values):
    error = refusal(chat_body().removesuffix(b"}") + b', "' + field.encode() + b'": ' + values + b"}")
    assert (error.message.partition(".")[0], error.code) == ("Invalid body: too many values", "invalid_value")


@pytest.mark.parametrize(
    "text", ["[{" * 500_000, '["' * 300_000, '\\"[' * 200_000, "\\" * 300_000 + '"' + "[" * 300_000, "{" * 2_000_000]
)
def test_a_program_as_a_prompt_is_not_taken_for_values(text):
    body = msgspec.json.encode(RIGHT["chat"] | {"messages": [{"role": "user", "content": text}]})
    assert chat.BODY.decode(body).messages[0].content == text


def test_f12_the_longest_list_of_prompts_is_not_too_many_values():
    body = msgspec.json.encode({"model": "m", "prompt": [[1] * 500] * 2048})
    assert len(completions.BODY.decode(body).prompt) == 2048


def test_f12_the_longest_conversation_is_not_too_many_values():
    part = {"type": "text", "text": "Hello"}
    body = msgspec.json.encode(RIGHT["chat"] | {"messages": [{"role": "user", "content": [part] * 12}] * 2048})
    assert len(chat.BODY.decode(body).messages) == 2048


def test_64_levels_are_not_too_deep():
    assert "nested too deeply" not in refusal(b"[" * 64 + b"]" * 64).message


def test_f15_of_equal_keys_the_last_one_counts_also_after_a_wrong_one():
    body = chat_body().removesuffix(b"}") + b', "n": "x", "n": 2}'
    assert chat.BODY.decode(body).n == 2


def test_f15_of_equal_keys_a_wrong_last_one_is_refused():
    assert refusal(chat_body().removesuffix(b"}") + b', "n": 2, "n": "x"}').param == "n"


@pytest.mark.parametrize("field", ["n_discard", "grammar", "chat_template", "prompt_embeds", "cache_salt", "api_base"])
def test_f10_engine_fields_are_unknown(field):
    assert refusal(chat_body(**{field: 1})).message == f"Unrecognized request argument supplied: {field}"


def test_a_message_about_ten_thousand_unknown_fields_stays_short():
    assert len(refusal(msgspec.json.encode({"x" * 100 + str(n): 1 for n in range(10_000)})).message) < 2_000


def test_a_huge_integer_is_not_written_out():
    assert len(refusal(chat_body().removesuffix(b"}") + b', "n": ' + b"9" * 4000 + b"}").message) < 200


def test_a_million_token_ids_with_one_bad_one_are_not_walked_one_by_one():
    body = b'{"model": "m", "prompt": [' + b"1," * 1_000_000 + b"-1]}"
    num_calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal num_calls
        num_calls += event == "call"

    sys.setprofile(count)
    try:
        with pytest.raises(InvalidRequest) as raised:
            completions.BODY.decode(body)
    finally:
        sys.setprofile(None)
    assert raised.value.param == "prompt[1000000]"
    # Only the run of a thousand in which the bad one stands.
    assert num_calls < 100_000


def test_a_bad_token_id_in_a_list_of_lists_is_named():
    with pytest.raises(InvalidRequest) as raised:
        completions.BODY.decode(b'{"model": "m", "prompt": [[1, 2], [3, "x"]]}')
    assert raised.value.param == "prompt[1][1]"


async def read(content_type: str | None, body: bytes) -> Any:
    headers = [] if content_type is None else [(b"content-type", content_type.encode())]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return await chat.BODY.read(Request({"type": "http", "headers": headers}, receive))


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", None]
)
async def test_json_is_read_whatever_its_parameters(content_type):
    assert (await read(content_type, chat_body())).model == "gpt-3.5-turbo"


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "", "application/jsonp"])
async def test_other_content_types_are_refused(content_type):
    with pytest.raises(InvalidRequest) as raised:
        await read(content_type, chat_body())
    assert raised.value.code == "unsupported_content_type"


async def test_a_long_wrong_body_is_explained_off_the_loop_in_the_same_words():
    with pytest.raises(InvalidRequest) as raised:
        await read("application/json", chat_body(user="x" * 100_000))
    assert raised.value.code == "string_above_max_length"


@pytest.mark.parametrize(("wire_type", "field"), ADMINISTRATION, ids=lambda part: getattr(part, "__name__", part))
@pytest.mark.parametrize("value", ["", "x" * 2000, 0, -1, 10**18, -0.5, 1e300, [], {}, True], ids=lambda _: "")
def test_what_administration_refuses_of_a_field_is_told_of_that_field(wire_type, field, value):
    """What the strict pass refuses and the slow one cannot name would be called broken JSON, which it is not."""
    alone = msgspec.defstruct("Alone", [(field, get_type_hints(wire_type, include_extras=True)[field])])
    fault = first_fault({field: value}, alone)
    try:
        msgspec.convert({field: value}, alone)
    except msgspec.ValidationError:
        assert fault is not None
        assert (fault.param or "").partition("[")[0].partition(".")[0] == field
    else:
        assert fault is None


def test_a_bound_that_is_itself_excluded_is_told_so():
    with pytest.raises(InvalidRequest) as raised:
        JsonBody(requests.CreateTopUpRequest).decode(b'{"amount_usd": 0}')
    assert raised.value.message == (
        "Invalid 'amount_usd': decimal below minimum value. Expected a value > 0, but got 0 instead."
    )
