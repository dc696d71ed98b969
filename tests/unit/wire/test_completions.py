"""Completions and edits on the wire: prompts in all their forms, and the parameters that must fit one another."""

import msgspec
import pytest

from parley.api.openai import completions, edits
from parley.core.errors import InvalidRequest
from parley.core.requests import TextPrompt
from parley.core.template import Role


def to_core(**fields):
    body = msgspec.json.encode({"model": "davinci"} | fields)
    return completions.to_core(completions.BODY.decode(body), "davinci")


def refusal(**fields) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        to_core(**fields)
    return raised.value


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        (None, (TextPrompt(text=""),)),
        ("", (TextPrompt(text=""),)),
        ("a", (TextPrompt(text="a"),)),
        (["a", ""], (TextPrompt(text="a"), TextPrompt(text=""))),
        ([1, 2], (TextPrompt(token_ids=(1, 2)),)),
        ([[1], [2, 3]], (TextPrompt(token_ids=(1,)), TextPrompt(token_ids=(2, 3)))),
    ],
)
def test_a_prompt_may_be_text_or_token_ids_one_or_many(prompt, prompts):
    assert to_core(prompt=prompt).prompts == prompts


def test_without_a_prompt_the_model_starts_a_document():
    assert to_core().prompts == (TextPrompt(text=""),)


@pytest.mark.parametrize(
    ("prompt", "param"),
    [
        ([], "prompt"),
        ([[]], "prompt[0]"),
        ([1, "a"], "prompt[1]"),
        (["a", [1]], "prompt[1]"),
        ([[1], 2], "prompt[1]"),
        ([-1], "prompt[0]"),
        ([[1], [2**63]], "prompt[1][0]"),
        ([True], "prompt[0]"),
        ([None], "prompt[0]"),
        (5, "prompt"),
        (["a"] * 2049, "prompt"),
    ],
)
def test_other_prompts_are_refused_by_place(prompt, param):
    assert refusal(prompt=prompt).param == param


def test_defaults_are_those_of_the_documents():
    request = to_core(prompt="a")
    assert (request.max_tokens, request.n, request.best_of, request.echo) == (16, 1, 1, False)
    assert request.sampling.logprobs is None


def test_max_tokens_may_be_0_only_with_echo():
    assert to_core(prompt="a", max_tokens=0, echo=True, logprobs=0).max_tokens == 0
    assert refusal(prompt="a", max_tokens=0).code == "integer_below_min_value"


def test_best_of_follows_n_and_must_not_be_less():
    assert to_core(prompt="a", n=3).best_of == 3
    assert to_core(prompt="a", n=2, best_of=5).best_of == 5
    assert refusal(prompt="a", n=2, best_of=1).param == "best_of"
    assert refusal(prompt="a", best_of=21).code == "integer_above_max_value"


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"n": 128}, "n"), ({"n": 9}, "n"), ({"best_of": 20}, "best_of"), ({"n": 2, "best_of": 9}, "best_of")],
)
def test_prompts_times_choices_have_a_cap(fields, param):
    assert refusal(prompt=["a"] * 256, **fields).param == param


@pytest.mark.parametrize("fields", [{"n": 8}, {"best_of": 8}, {"n": 2, "best_of": 8}])
def test_as_many_choices_as_prompts_are_allowed(fields):
    assert len(to_core(prompt=["a"] * 256, **fields).prompts) == 256


def test_best_of_cannot_be_streamed_unless_it_is_n():
    assert refusal(prompt="a", best_of=2, stream=True).param == "best_of"
    assert to_core(prompt="a", n=2, best_of=2, stream=True).is_stream


def test_a_suffix_goes_with_every_prompt_but_not_with_echo():
    assert to_core(prompt=["a", "b"], suffix="z").prompts == (
        TextPrompt(text="a", suffix="z"),
        TextPrompt(text="b", suffix="z"),
    )
    assert to_core(prompt="a", suffix="").prompts == (TextPrompt(text="a"),)
    assert refusal(prompt="a", suffix="z", echo=True).param == "suffix"


@pytest.mark.parametrize("logprobs", [6, -1, True, "1", 1.0])
def test_logprobs_are_a_number_from_0_to_5(logprobs):
    assert refusal(prompt="a", logprobs=logprobs).param == "logprobs"


def test_an_edit_becomes_a_conversation_with_both_texts_as_content():
    request = edits.to_core(
        edits.BODY.decode(b'{"model":"m","input":"wek","instruction":"Fix","n":2,"top_p":0.5}'), "m"
    )
    (prompt,) = request.prompts
    assert [message.role for message in prompt.messages] == [Role.SYSTEM, Role.USER]
    assert "wek" in prompt.messages[1].content
    assert "Fix" in prompt.messages[1].content
    assert (request.endpoint, request.n, request.best_of, request.max_tokens) == ("/v1/edits", 2, 2, None)
    assert (request.sampling.temperature, request.sampling.top_p) == (1.0, 0.5)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"model":"m"}', "Missing required parameter: 'instruction'."),
        (b'{"model":"m","instruction":"x","max_tokens":5}', "Unrecognized request argument supplied: max_tokens"),
    ],
)
def test_an_edit_that_is_not_one_is_refused(body, message):
    with pytest.raises(InvalidRequest) as raised:
        edits.BODY.decode(body)
    assert raised.value.message == message
