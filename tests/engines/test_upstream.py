"""The request that llama.cpp gets, and its stream cut into frames: pure code."""

import json
from dataclasses import replace

import pytest

from parley.core.errors import EngineFailed
from parley.core.requests import Grammar
from parley.serving.engines.upstream import FrameReader, completion_body
from tests.builders_engines import round_of

ALLOWED = {
    "prompt", "n_predict", "n_cmpl", "stream", "return_tokens", "return_progress", "response_fields", "cache_prompt", "lora",
    "stop", "seed", "n_probs", "post_sampling_probs", "samplers", "temperature", "top_p", "top_k", "min_p", "presence_penalty",
    "frequency_penalty", "repeat_penalty", "repeat_last_n", "logit_bias", "preserved_tokens",
}  # fmt: skip


def body_of(prompt: tuple[int, ...] = (5, 6, 6), **sampling: object) -> dict[str, object]:
    body = json.loads(completion_body(round_of(prompt, **sampling)))
    assert isinstance(body, dict)
    return body


def test_only_listed_fields_reach_the_engine() -> None:
    for sampling in ({}, {"temperature": 0.0}, {"top_p": 0.5, "seed": 1, "logprobs": 5, "presence_penalty": 1.0}):
        assert set(body_of(**sampling)) <= ALLOWED


def test_a_grammar_is_said_to_be_llguidances_and_marks_are_not_hidden() -> None:
    request = replace(round_of((5,)), grammar=Grammar('start: "a"\n'), markers=("<tool_call>",))
    body = json.loads(completion_body(request))
    assert set(body) == set(body_of()) | {"grammar"}
    assert body["grammar"] == '%llguidance {}\nstart: "a"\n'
    assert body["preserved_tokens"] == ["<tool_call>"]


def test_it_is_always_a_stream_and_never_carries_an_adapter() -> None:
    body = body_of()
    assert body["stream"] is True
    assert body["lora"] == []


def test_zero_temperature_asks_for_the_best_token_alone() -> None:
    body = body_of(temperature=0.0, top_p=0.3)
    assert body["samplers"] == ["top_k"]
    assert body["top_k"] == 1


def test_samplers_run_in_the_order_of_openai() -> None:
    body = body_of(temperature=0.7, top_p=0.9, frequency_penalty=0.1)
    assert body["samplers"] == ["penalties", "temperature", "top_p"]
    assert body_of(temperature=1.0)["samplers"] == ["temperature"]


def test_what_the_prompts_tokens_lose_by_penalties_is_given_back() -> None:
    body = body_of((5, 6, 6), frequency_penalty=0.5, presence_penalty=1.0, logit_bias={6: -3.0})
    assert dict(map(tuple, body["logit_bias"])) == {5: 1.5, 6: -1.0}  # type: ignore[arg-type, call-overload]
    assert body["repeat_last_n"] == 3 + 16


def test_a_banned_token_stays_banned_whatever_the_penalties() -> None:
    body = body_of((5,), frequency_penalty=-2.0, logit_bias={5: -100.0})
    assert body["logit_bias"] == [[5, False]]


@pytest.mark.parametrize("seed", [0, 1, -1, 2**32 - 1, 2**63 - 1, -(2**63)])
def test_every_seed_is_one_that_the_server_keeps(seed: int) -> None:
    sent = body_of(seed=seed)["seed"]
    assert isinstance(sent, int)
    assert 0 <= sent < 2**32 - 1
    assert body_of(seed=seed)["seed"] == sent


def test_without_a_seed_each_round_has_another() -> None:
    assert len({body_of()["seed"] for _ in range(10)}) > 1


STREAM = (
    ': ping\n\ndata: {"index":0,"content":"é€🦊","tokens":[7],"tokens_predicted":1,"stop":false,"unknown":1}\n\n'
    'data: {"index":0,"stop":true,"stop_type":"limit","tokens_predicted":1}\n\n'
).encode()


def test_frames_are_the_same_wherever_the_stream_is_cut() -> None:
    for cut in range(len(STREAM)):
        reader = FrameReader()
        frames = [*reader.feed(STREAM[:cut]), *reader.feed(STREAM[cut:])]
        assert [(frame.content, frame.stop, frame.stop_type) for frame in frames] == [
            ("é€🦊", False, None),
            ("", True, "limit"),
        ]


@pytest.mark.parametrize(
    "received",
    [
        b'data: {"error":{"code":500,"message":"no"}}\n\n',
        b"data: {nonsense}\n\n",
        b'data: {"index":"zero"}\n\n',
        b'data: {"content":"\xff"}\n\n',
        b"<html>\n\n",
    ],
)
def test_nonsense_is_a_failure_of_the_engine(received: bytes) -> None:
    with pytest.raises(EngineFailed):
        list(FrameReader().feed(received))
