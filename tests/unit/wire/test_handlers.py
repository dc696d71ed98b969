"""Handlers from the request's bytes to the reply's: fields of 2023 and today, headers, and who closes the Run."""

import json
from datetime import date

import pytest
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion

from parley.api.openai.chat import create_chat_completion
from parley.api.openai.completions import create_completion, create_engine_completion
from parley.api.openai.edits import create_edit, create_engine_edit
from parley.api.openai.engines import list_engines, refuse_chat, retrieve_engine
from parley.api.openai.models import list_models, retrieve_model
from parley.api.openai.retired import refuse
from parley.core.errors import InvalidRequest, ModelNotFound, NotFound
from parley.core.events import Delta, FinishReason, SequenceFinished
from tests.builders_wire import (
    Asked,
    FakeCatalog,
    FakeServing,
    call_handler,
    chunks,
    make_principal,
    make_snapshot,
    said,
    scored,
)
from tests.golden import golden, written

CHAT = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello"}]}
COMPLETION = {"model": "davinci", "prompt": "Say"}
OLD = make_snapshot("text-davinci-003", shutdown_date=date(2024, 1, 4), owned_by="openai-compatible")
EMPTY = make_snapshot("whisper-1", weights=None, promised_context_length=0, capabilities=frozenset())
CATALOG = FakeCatalog(
    [("gpt-3.5-turbo", make_snapshot(), True), ("text-davinci-003", OLD, False), ("whisper-1", EMPTY, False)]
)


def fixed_id(reply):
    """The reply's JSON without its random id, which is checked for its form."""
    answer = reply.json()
    prefix, _, rest = answer["id"].partition("-")
    assert len(rest) == 22
    return answer | {"id": f"{prefix}-0"}


async def test_a_chat_reply_is_the_golden_one():
    reply = await call_handler(create_chat_completion, Asked(body=CHAT), serving=FakeServing(said("Hel", "lo")))
    assert written(fixed_id(reply)) == golden("replies/chat")
    assert ChatCompletion.model_validate(reply.json(), strict=True).choices[0].message.content == "Hello"


async def test_a_completion_reply_is_the_golden_one():
    serving = FakeServing([Delta(0, "Say", 0), *said(" this")])
    reply = await call_handler(create_completion, Asked(body=COMPLETION | {"echo": True}), serving=serving)
    assert written(fixed_id(reply)) == golden("replies/completion")
    assert Completion.model_validate(reply.json(), strict=True).choices[0].text == "Say this"


async def test_an_edit_reply_is_the_golden_one():
    body = {"model": "text-davinci-edit-001", "input": "wek", "instruction": "Fix"}
    reply = await call_handler(create_edit, Asked(body=body), serving=FakeServing(said("week")))
    assert written(reply.json()) == golden("replies/edit")


@pytest.mark.parametrize(
    ("name", "handler", "params"),
    [
        ("models", list_models, {}),
        ("model", retrieve_model, {"model": "text-davinci-003"}),
        ("engines", list_engines, {}),
        ("engine", retrieve_engine, {"engine_id": "gpt-3.5-turbo"}),
    ],
)
async def test_the_model_lists_are_the_golden_ones(name, handler, params):
    reply = await call_handler(handler, Asked(path_params=params), catalog=CATALOG)
    assert written(reply.json()) == golden(f"replies/{name}")


async def test_todays_client_reads_a_model():
    reply = await call_handler(retrieve_model, Asked(path_params={"model": "text-davinci-003"}), catalog=CATALOG)
    assert Model.model_validate(reply.json(), strict=True).shutdown_date == "2024-01-04"


async def test_a_stream_is_sent_event_by_event_and_the_run_is_closed():
    serving = FakeServing(said("Hel", "lo"))
    reply = await call_handler(create_chat_completion, Asked(body=CHAT | {"stream": True}), serving=serving)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["x-parley-model"] == "small"
    texts = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks(reply.body)[:-1]]
    assert "".join(texts) == "Hello"
    assert serving.runs[0].is_closed


async def test_a_plain_reply_closes_the_run_and_names_the_weights():
    serving = FakeServing(said("a"))
    reply = await call_handler(create_chat_completion, Asked(body=CHAT), serving=serving)
    assert serving.runs[0].is_closed
    assert (reply.status, reply.headers["x-parley-model"]) == (200, "small")


async def test_a_model_with_an_announced_end_says_so_in_every_reply():
    reply = await call_handler(create_completion, Asked(body=COMPLETION), serving=FakeServing(said("a"), snapshot=OLD))
    assert reply.headers["sunset"] == "Thu, 04 Jan 2024 00:00:00 GMT"
    assert reply.headers["deprecation"] == "@1704326400"
    assert reply.json()["model"] == "text-davinci-003"


async def test_choices_stand_in_order_of_their_index():
    events = [Delta(1, "b", 1), Delta(0, "a", 1), Delta(1, "B", 1)]
    ends = [SequenceFinished(1, FinishReason.LENGTH), SequenceFinished(0, FinishReason.STOP)]
    reply = await call_handler(
        create_chat_completion, Asked(body=CHAT | {"n": 2}), serving=FakeServing([*events, *ends])
    )
    choices = [(c["index"], c["message"]["content"], c["finish_reason"]) for c in reply.json()["choices"]]
    assert choices == [(0, "a", "stop"), (1, "bB", "length")]


async def test_prompts_times_n_choices_come_prompt_by_prompt_with_offsets_of_their_own_prompt():
    tokens = [Delta(index, "x", 1, (scored("x"),)) for index in range(4)]
    ends = [SequenceFinished(index, FinishReason.STOP) for index in range(4)]
    body = {"model": "davinci", "prompt": ["a", "long"], "n": 2, "logprobs": 0}
    reply = await call_handler(create_completion, Asked(body=body), serving=FakeServing([*tokens, *ends]))
    assert [choice["logprobs"]["text_offset"] for choice in reply.json()["choices"]] == [[1], [1], [4], [4]]


async def test_an_echoed_prompt_is_scored_from_offset_0():
    echo = Delta(0, "ab", 0, (scored("a", None), scored("b", -1.0)))
    body = {"model": "davinci", "prompt": "ab", "echo": True, "logprobs": 1, "max_tokens": 0}
    serving = FakeServing([echo, SequenceFinished(0, FinishReason.LENGTH)])
    (choice,) = (await call_handler(create_completion, Asked(body=body), serving=serving)).json()["choices"]
    assert choice["text"] == "ab"
    assert choice["logprobs"] == {
        "tokens": ["a", "b"],
        "token_logprobs": [None, -1.0],
        "top_logprobs": [None, {"b": -1.0}],
        "text_offset": [0, 1],
    }


async def test_chat_logprobs_are_in_the_choice_only_when_asked_for():
    serving = FakeServing([Delta(0, "a", 1, (scored("a", -0.1, ("a", -0.1)),)), SequenceFinished(0, FinishReason.STOP)])
    asked = Asked(body=CHAT | {"logprobs": True, "top_logprobs": 1})
    (choice,) = (await call_handler(create_chat_completion, asked, serving=serving)).json()["choices"]
    token = {"token": "a", "logprob": -0.1, "bytes": [97]}
    assert choice["logprobs"] == {"content": [token | {"top_logprobs": [token]}], "refusal": None}


@pytest.mark.parametrize(("tier", "shown"), [("auto", "default"), ("default", "default")])
async def test_the_service_tier_is_said_to_who_named_one(tier, shown):
    reply = await call_handler(
        create_chat_completion, Asked(body=CHAT | {"service_tier": tier}), serving=FakeServing(said("a"))
    )
    assert reply.json()["service_tier"] == shown
    reply = await call_handler(create_chat_completion, Asked(body=CHAT), serving=FakeServing(said("a")))
    assert "service_tier" not in reply.json()


async def test_the_engine_in_the_path_is_the_model():
    serving = FakeServing(said("a"))
    asked = Asked(body={"prompt": "x"}, path_params={"engine_id": "davinci"})
    await call_handler(create_engine_completion, asked, serving=serving)
    assert (serving.requests[0].model, serving.requests[0].endpoint) == ("davinci", "/v1/completions")


async def test_an_edit_has_its_engine_in_the_path_too():
    serving = FakeServing(said("week"))
    asked = Asked(body={"input": "wek", "instruction": "Fix"}, path_params={"engine_id": "text-davinci-edit-001"})
    reply = await call_handler(create_engine_edit, asked, serving=serving)
    assert reply.json()["choices"][0]["text"] == "week"
    assert (serving.requests[0].model, serving.requests[0].endpoint) == ("text-davinci-edit-001", "/v1/edits")


@pytest.mark.parametrize(
    ("handler", "body"), [(create_engine_completion, {"prompt": "x"}), (create_engine_edit, {"instruction": "Fix"})]
)
async def test_a_model_in_the_body_must_be_the_engine_of_the_path(handler, body):
    path_params = {"engine_id": "davinci"}
    agreed = Asked(body=body | {"model": "davinci"}, path_params=path_params)
    assert (await call_handler(handler, agreed, serving=FakeServing(said("a")))).status == 200
    with pytest.raises(InvalidRequest) as raised:
        await call_handler(handler, Asked(body=body | {"model": "ada"}, path_params=path_params))
    assert raised.value.param == "model"


async def test_chat_under_an_engine_is_answered_as_openai_answered_it():
    asked = Asked(body={"messages": []}, path_params={"engine_id": "gpt-3.5-turbo"})
    with pytest.raises(NotFound) as raised:
        await call_handler(refuse_chat, asked)
    assert raised.value.message.startswith("Invalid URL (POST /v1/engines/gpt-3.5-turbo/chat/completions). ")
    assert "/v1/chat/completions" in raised.value.message


async def test_a_bad_body_never_opens_a_run():
    serving = FakeServing()
    with pytest.raises(InvalidRequest):
        await call_handler(create_chat_completion, Asked(body={"model": "m"}), serving=serving)
    assert serving.requests == []


async def test_a_refusal_of_serving_reaches_the_caller():
    with pytest.raises(ModelNotFound):
        await call_handler(
            create_completion, Asked(body=COMPLETION), serving=FakeServing(refusal=ModelNotFound("davinci"))
        )


async def test_a_key_for_some_models_sees_no_others():
    principal = make_principal(allowed_models=frozenset({"text-davinci-003"}))
    reply = await call_handler(list_models, Asked(principal=principal), catalog=CATALOG)
    assert [model["id"] for model in reply.json()["data"]] == ["text-davinci-003"]
    with pytest.raises(ModelNotFound):
        await call_handler(
            retrieve_engine, Asked(principal=principal, path_params={"engine_id": "whisper-1"}), catalog=CATALOG
        )


@pytest.mark.parametrize("path", ["/v1/engines/ada/search", "/v1/answers", "/v1/classifications", "/v1/search"])
async def test_retired_endpoints_say_what_to_use_instead(path):
    with pytest.raises(NotFound) as raised:
        await call_handler(refuse, Asked(path=path))
    assert raised.value.message.startswith(f"The {path.rpartition('/')[2]} endpoint was retired on December 3, 2022. ")
    assert "/v1/" in raised.value.message


async def test_replies_are_json_that_pythons_parser_reads():
    reply = await call_handler(create_chat_completion, Asked(body=CHAT), serving=FakeServing(said("\u2028\u0000é")))
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "\u2028\u0000é"
