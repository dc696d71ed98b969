"""Rounds under a grammar: nothing but what it allows, to its end."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from msgspec import structs

from parley.core.errors import EngineFailed
from parley.core.events import FinishReason
from parley.core.requests import Grammar, ToolChoice
from parley.serving.engines.llama import LlamaEngine
from parley.serving.prompting.call_parts import Arguments, Name
from parley.serving.prompting.grammar import answer_grammar
from parley.serving.prompting.templates import TEMPLATES
from tests.builders_engines import END_OF_TURN_ID, RANDOM, Outcome, byte_ids, llama_engine, round_of, run_round
from tests.builders_tools import function, prompt, read, tools, vocabulary

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def free(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaEngine]:
    async with llama_engine(tmp_path_factory.mktemp("free"), RANDOM) as engine:
        yield engine


async def under(engine: LlamaEngine, lark: str, **settings: object) -> Outcome:
    request = round_of(byte_ids("Say it: "), **{"max_tokens": 200, "temperature": 1.0, "seed": 1, **settings})  # type: ignore[arg-type]
    return await run_round(engine, structs.replace(request, grammar=Grammar(lark)))


async def test_only_what_the_grammar_allows_is_said(free: LlamaEngine) -> None:
    outcome = await under(free, 'start: "yes" | "no, never"', num_sequences=4)
    assert set(outcome.texts) <= {"yes", "no, never"}
    assert set(outcome.reasons) == {FinishReason.STOP}


async def test_a_json_schema_gives_json_that_fits_it(free: LlamaEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Rome", "Zürich"]}, "warm": {"type": "boolean"}},
        "required": ["city", "warm"],
        "additionalProperties": False,
    }
    outcome = await under(free, "start: %json " + json.dumps(schema), num_sequences=3)
    for text in outcome.texts:
        said = json.loads(text)
        assert said["city"] in {"Rome", "Zürich"}
        assert said["warm"] in {True, False}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_biases_choose_among_what_a_grammar_leaves_and_never_ban_the_last_of_it(
    free: LlamaEngine, temperature: float
) -> None:
    bias = dict.fromkeys([*byte_ids("5"), *byte_ids("{"), *byte_ids("}")], -100.0)
    banned = await under(free, 'start: %json {"const": 5}', logit_bias=bias, temperature=temperature)
    assert banned.texts == ["5"]
    held = await under(free, 'start: "{" "}"', logit_bias=bias, temperature=temperature)
    assert held.texts == ["{}"]
    other = await under(free, 'start: "5" | "6"', logit_bias=bias, temperature=temperature, num_sequences=4)
    assert set(other.texts) == {"6"}
    assert {*banned.reasons, *held.reasons, *other.reasons} == {FinishReason.STOP}


async def test_a_special_token_may_stand_in_a_grammar_and_is_shown_as_a_marker(free: LlamaEngine) -> None:
    lark = f'start: "a" <[{END_OF_TURN_ID - 1}]> "b"'
    request = structs.replace(round_of(byte_ids("Say it: "), max_tokens=20), grammar=Grammar(lark))
    hidden = await run_round(free, request)
    assert hidden.texts == ["ab"]
    again = structs.replace(
        round_of(byte_ids("Say it: "), max_tokens=20), grammar=Grammar(lark), markers=("<|im_start|>",)
    )
    assert (await run_round(free, again)).texts == ["a<|im_start|>b"]


async def test_log_probabilities_are_those_of_the_model_not_of_the_grammar(free: LlamaEngine) -> None:
    outcome = await under(free, 'start: "x"', logprobs=5)
    token = outcome.scored[0][0]
    assert token.piece == b"x"
    assert len(token.top) == 5
    assert token.logprob is not None
    assert token.logprob < -0.5


async def test_a_grammar_that_is_none_fails_its_round_and_no_other(free: LlamaEngine) -> None:
    with pytest.raises(EngineFailed):
        await under(free, "start: ((((")
    assert (await under(free, 'start: "fine"')).texts == ["fine"]


async def test_rounds_with_and_without_a_grammar_run_beside_each_other(free: LlamaEngine) -> None:
    plain = await run_round(free, round_of(byte_ids("a"), max_tokens=5))
    assert plain.num_tokens == [5] or plain.reasons == [FinishReason.STOP]
    assert (await under(free, 'start: "z"')).texts == ["z"]


@pytest.mark.parametrize("family", ["qwen-coder", "llama-3-python"])
async def test_a_forced_call_that_is_no_json_is_well_formed_and_reads_back_as_one(
    free: LlamaEngine, family: str
) -> None:
    schema = {
        "type": "object",
        "properties": {
            "note": {"type": "string", "enum": ["a b", "7"]},
            "warm": {"type": "boolean"},
            "digits": {"type": "array", "items": {"enum": [1, 2]}, "maxItems": 2},
        },
        "required": ["note", "warm", "digits"],
    }
    planned = function("plan", parameters=schema, strict=True)
    asked = prompt(tools=tools(planned, choice=ToolChoice.REQUIRED, is_parallel=False))
    grammar = answer_grammar(asked, TEMPLATES[family], vocabulary())
    assert grammar is not None
    outcome = await under(free, grammar.lark, num_sequences=4)
    for text in outcome.texts:
        name, arguments = read(family, list(text), planned)
        assert name == Name("plan")
        assert isinstance(arguments, Arguments)
        said = json.loads(arguments.text)
        assert said["note"] in {"a b", "7"}
        assert said["warm"] in {True, False}
        assert set(said["digits"]) <= {1, 2}
