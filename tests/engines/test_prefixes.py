"""Beginnings that were read before: what is counted, what stays private, and that reuse changes no answer."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from msgspec import structs

from parley.serving.engines.llama import LlamaEngine
from parley.workers.slots import WORTH_COPYING
from tests.builders_engines import RANDOM, llama_engine, round_of, run_round

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def free(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaEngine]:
    """A model whose next token depends on all tokens before it."""
    async with llama_engine(tmp_path_factory.mktemp("free"), RANDOM) as engine:
        yield engine


def tokens(seed: int, count: int) -> tuple[int, ...]:
    return tuple(random.Random(seed).choices(range(6, 260), k=count))


async def test_a_conversation_is_read_on_from_where_it_stood(free: LlamaEngine) -> None:
    history = tokens(1, 100)
    for turn in range(5):
        request = round_of(history, max_tokens=8, temperature=0.0, logprobs=0)
        outcome = await run_round(free, request)
        if turn:
            assert outcome.usage.cached_tokens >= len(history) - 10 - 1
        said = tuple(token.token_id for token in outcome.scored[0])
        history = (*history, *said, *tokens(100 + turn, 10))


async def test_users_of_one_system_prompt_read_it_once(free: LlamaEngine) -> None:
    system = tokens(2, 300)
    prompts = [(*system, *tokens(200 + user, 5)) for user in range(12)]
    outcomes = await asyncio.gather(*(run_round(free, round_of(prompt, max_tokens=3)) for prompt in prompts))
    cached = sorted(outcome.usage.cached_tokens for outcome in outcomes)
    assert cached[0] < 10
    # What another is about to read is waited for where it is worth a copy.
    assert cached[1] > 300 - WORTH_COPYING


async def test_i15_another_organisations_prompt_is_never_shared(free: LlamaEngine) -> None:
    prompt = tokens(3, 200)
    request = round_of(prompt, max_tokens=1, temperature=0.0)
    for salt, is_known in (("org_a", False), ("org_b", False), ("org_a", True), ("org_b", True)):
        fresh = round_of(prompt, max_tokens=1, temperature=0.0)
        outcome = await run_round(free, structs.replace(fresh, cache_salt=salt))
        assert (outcome.usage.cached_tokens > 100) is is_known
    assert (await run_round(free, request)).usage.cached_tokens < 10


async def test_a_scored_prompt_warms_nobodys_cache(free: LlamaEngine) -> None:
    prompt = tokens(4, 200)
    await free.score(prompt, num_top=0)
    assert (await run_round(free, round_of(prompt, max_tokens=1))).usage.cached_tokens < 10


async def test_an_answer_is_the_same_from_the_cache_from_a_copy_and_afresh(free: LlamaEngine) -> None:
    prompt = tokens(5, 200)

    async def said(salt: str) -> list[float]:
        request = round_of(prompt, max_tokens=6, num_sequences=2, temperature=0.0, logprobs=3)
        outcome = await run_round(free, structs.replace(request, cache_salt=salt))
        assert outcome.texts[0] == outcome.texts[1]
        return [token.logprob or 0.0 for scored in outcome.scored for token in scored]

    first = await said("x")
    for again in (await said("x"), await said("y")):
        # The cache holds 16-bit numbers, so other steps round otherwise.
        assert again == pytest.approx(first, abs=1e-2)


async def test_an_aborted_reading_leaves_what_it_had_read(free: LlamaEngine) -> None:
    prompt = tokens(6, 450)
    generation = await free.generate(round_of(prompt, max_tokens=2))
    await generation.aclose()
    outcome = await run_round(free, round_of(prompt, max_tokens=2, temperature=0.0, logprobs=0))
    fresh = structs.replace(round_of(prompt, max_tokens=2, temperature=0.0, logprobs=0), cache_salt="fresh")
    again = await run_round(free, fresh)
    assert outcome.texts == again.texts
    assert await free.busy_slots() == []
