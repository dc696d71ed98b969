"""The call that an OpenAI-compatible server gets: every parameter is mapped, or is refused before; none is dropped."""

import base64
import json

import pytest
from msgspec.structs import fields, replace

from parley.core.estimate import estimate_tokens
from parley.core.picture import Detail, PictureSource
from parley.core.requests import ChatMessage, ChatPrompt, Inset, Sampling, SequenceRequest, TextPrompt
from parley.core.template import Role
from parley.core.upstream import ABILITIES, Upstream, UpstreamKind
from parley.serving.engines.openai_server.dialect import call_of, probe_call, score_call

EVERYTHING = Sampling(
    temperature=0.5, top_p=0.9, presence_penalty=0.1, frequency_penalty=0.2, logit_bias={5: -1.0}, stop=("x",), seed=3,
    logprobs=2,
)  # fmt: skip
CHAT = ChatPrompt(messages=(ChatMessage(role=Role.USER, content="Hi"),))
KINDS = list(UpstreamKind)
PLAIN = Sampling()


def upstream(kind: UpstreamKind) -> Upstream:
    return Upstream(kind=kind, url="http://127.0.0.1:9/v1", model="m")


def asked(kind: UpstreamKind, request: SequenceRequest) -> dict[str, object]:
    body = json.loads(call_of(request, upstream(kind)).body)
    assert isinstance(body, dict)
    return body


def request_of(sampling: Sampling = PLAIN, **changes: object) -> SequenceRequest:
    whole = SequenceRequest(round_id="r", prompt=(1, 2, 3), num_sequences=1, max_tokens=7, sampling=sampling)
    return replace(whole, **changes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", [None, CHAT, TextPrompt(text="Hi")], ids=["ids", "chat", "text"])
def test_every_sampling_parameter_is_said(kind: UpstreamKind, source: object) -> None:
    body = asked(kind, request_of(EVERYTHING, source=source))
    for field in fields(Sampling):
        assert field.name in body, field.name
    assert body["stop"] == ["x"]
    assert body["logit_bias"] == {"5": -1.0}
    is_new = kind is UpstreamKind.OPENAI and source is CHAT
    assert body["max_completion_tokens" if is_new else "max_tokens"] == 7


def test_every_kind_has_its_abilities() -> None:
    assert set(ABILITIES) == set(UpstreamKind)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_always_a_stream_that_ends_with_its_usage(kind: UpstreamKind) -> None:
    body = asked(kind, request_of())
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_a_hosted_api_hears_nothing_but_openais_fields_and_no_defaults() -> None:
    assert asked(UpstreamKind.OPENAI, request_of(source=CHAT)) == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 7,
        "messages": [{"role": "user", "content": "Hi"}],
    }


@pytest.mark.parametrize("kind", [UpstreamKind.VLLM, UpstreamKind.SGLANG, UpstreamKind.LLAMA_SERVER])
def test_samplers_that_nobody_asked_for_are_switched_off(kind: UpstreamKind) -> None:
    body = asked(kind, request_of())
    assert (body["temperature"], body["top_p"], body["min_p"]) == (1.0, 1.0, 0.0)
    assert body["top_k"] in (0, -1)


@pytest.mark.parametrize("seed", [0, -1, 2**31, 2**63 - 1, -(2**63)])
def test_every_seed_is_one_that_each_server_keeps_and_the_same_one_each_time(seed: int) -> None:
    sent = asked(UpstreamKind.VLLM, request_of(Sampling(seed=seed)))["seed"]
    assert isinstance(sent, int)
    assert 0 <= sent < 2**31
    assert asked(UpstreamKind.VLLM, request_of(Sampling(seed=seed)))["seed"] == sent


def test_log_probabilities_without_alternatives_ask_for_one_since_some_servers_send_none_for_zero() -> None:
    body = asked(UpstreamKind.LLAMA_SERVER, request_of(Sampling(logprobs=0), source=CHAT))
    assert (body["logprobs"], body["top_logprobs"]) == (True, 1)
    assert asked(UpstreamKind.LLAMA_SERVER, request_of(Sampling(logprobs=0)))["logprobs"] == 1


def test_ids_are_asked_for_where_they_can_be_told() -> None:
    body = asked(UpstreamKind.VLLM, request_of(Sampling(logprobs=1)))
    assert body["return_token_ids"] is True
    assert body["return_tokens_as_token_ids"] is True
    assert "return_tokens_as_token_ids" not in asked(UpstreamKind.VLLM, request_of(Sampling(logprobs=1), source=CHAT))


def test_penalties_of_llama_cpp_look_back_at_everything() -> None:
    body = asked(UpstreamKind.LLAMA_SERVER, request_of(Sampling(presence_penalty=1.0)))
    assert body["repeat_last_n"] == 3 + 7


def test_a_suffix_goes_to_who_takes_it() -> None:
    body = asked(UpstreamKind.OLLAMA, request_of(source=TextPrompt(text="a", suffix="b")))
    assert (body["prompt"], body["suffix"]) == ("a", "b")


def test_a_probe_generates_one_token() -> None:
    for is_chat, path in ((True, "/chat/completions"), (False, "/completions")):
        call = probe_call(upstream(UpstreamKind.VLLM), is_chat=is_chat)
        assert call.path == path
        assert json.loads(call.body)["max_tokens"] == 1


@pytest.mark.parametrize(("is_chat", "said"), [(True, "max_completion_tokens"), (False, "max_tokens")])
def test_the_limit_goes_to_a_hosted_api_by_the_word_that_all_its_models_take(is_chat: bool, said: str) -> None:
    probe = json.loads(probe_call(upstream(UpstreamKind.OPENAI), is_chat=is_chat).body)
    sent = asked(UpstreamKind.OPENAI, request_of(source=CHAT if is_chat else TextPrompt(text="Hi")))
    for body, limit in ((probe, 1), (sent, 7)):
        assert {field: body[field] for field in body if field.startswith("max_")} == {said: limit}


def test_scores_are_an_echo_whose_tokens_are_told_by_id() -> None:
    body = json.loads(score_call((1, 2), 3, upstream(UpstreamKind.VLLM)).body)
    assert (body["prompt"], body["echo"], body["logprobs"]) == ([1, 2], True, 3)
    assert body["return_tokens_as_token_ids"] is True


FILES = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff\xe0", "gif": b"GIF89a", "webp": b"RIFF....WEBPVP8 "}


def shown(at: int, content: bytes = FILES["png"], detail: Detail = Detail.AUTO) -> Inset:
    encoded = base64.encodebytes(content * 9).decode()
    return Inset(at, PictureSource(encoded=encoded, detail=detail, param="p"))


def seen(text: str, *pictures: Inset) -> ChatPrompt:
    return ChatPrompt(messages=(ChatMessage(role=Role.USER, content=text, pictures=pictures),))


def content_of(prompt: ChatPrompt) -> list[dict[str, object]]:
    body = asked(UpstreamKind.OPENAI, request_of(source=prompt))
    (message,) = body["messages"]
    return message["content"]


def test_pictures_stand_among_the_words_where_the_client_put_them() -> None:
    parts = content_of(seen("onetwo", shown(0), shown(3, detail=Detail.LOW), shown(3), shown(6, detail=Detail.HIGH)))
    told = [part["text"] if part["type"] == "text" else part["image_url"].get("detail", "auto") for part in parts]
    assert told == ["auto", "one", "low", "auto", "two", "high"]
    assert [part["type"] for part in content_of(seen("", shown(0)))] == ["image_url"]


@pytest.mark.parametrize("kind", list(FILES))
def test_a_picture_goes_as_what_it_is_and_byte_for_byte(kind: str) -> None:
    (_, part) = content_of(seen("look", shown(4, FILES[kind])))
    heading, _, encoded = part["image_url"]["url"].partition(",")
    assert heading == f"data:image/{kind};base64"
    assert base64.b64decode(encoded, validate=True) == FILES[kind] * 9


def test_pictures_count_in_the_estimate_of_a_prompt() -> None:
    (words, low, close) = (
        estimate_tokens(each)
        for each in (seen("look"), seen("look", shown(0, detail=Detail.LOW)), seen("look", shown(0)))
    )
    assert words < low < close
