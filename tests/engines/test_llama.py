"""The batching loop on a real model: what a request asks of its tokens, and that slots are free when they should be."""

import asyncio
import math
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from parley.core.errors import EngineFailed
from parley.core.events import Delta, Finished, FinishReason
from parley.infra.sandbox import WorkerFailed
from parley.serving.engines.llama import LlamaEngine
from tests.builders_engines import (
    CHAIN,
    CHAINED,
    END_OF_TURN_ID,
    HANG_SECONDS,
    RANDOM,
    byte_ids,
    llama_engine,
    round_of,
    run_round,
)
from tests.gguf_maker import Shape

pytestmark = pytest.mark.asyncio(loop_scope="module")

# It takes the made model about ten seconds to say so much.
LASTING_TOKENS = 16_000
WORDS = byte_ids("It was the best of times, it was the worst of times")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chained(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaEngine]:
    async with llama_engine(tmp_path_factory.mktemp("chained"), CHAINED) as engine:
        yield engine


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def free(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaEngine]:
    """A model whose next token depends on all tokens before it."""
    async with llama_engine(tmp_path_factory.mktemp("free"), RANDOM) as engine:
        yield engine


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaEngine]:
    """The chained model with room for rounds that last much longer than their abort."""
    shape = Shape(chain=CHAIN, context_length=LASTING_TOKENS + 256)
    folder = tmp_path_factory.mktemp("lasting")
    async with llama_engine(folder, shape, context_length=shape.context_length) as engine:
        yield engine


async def tokens_until_idle(engine: LlamaEngine) -> int:
    """Wait until every slot is free; the most tokens that a busy one was seen to have generated."""
    most = 0
    async with asyncio.timeout(HANG_SECONDS):
        while tokens := await engine.busy_slots():
            most = max(most, *tokens)
            await asyncio.sleep(0.005)
    return most


async def test_scores_equal_the_probabilities_with_which_the_engine_generates(free: LlamaEngine) -> None:
    generated = await run_round(free, round_of(WORDS, max_tokens=12, temperature=0.0, logprobs=3))
    tokens = generated.scored[0]
    ids = [token.token_id for token in tokens]
    assert len(ids) < 13
    scored = (await free.score([*WORDS, ids[0]], num_top=3))[-1]
    assert scored.token_id == ids[0]
    assert scored.logprob == pytest.approx(tokens[0].logprob, abs=2e-3)
    assert [each.token_id for each in scored.top] == [each.token_id for each in tokens[0].top]
    assert [each.piece for each in scored.top] == [each.piece for each in tokens[0].top]


async def test_a_model_with_scaled_positions_is_scored_as_it_generates(tmp_path: Path) -> None:
    async with llama_engine(tmp_path, Shape(rope_scale=4.0)) as engine:
        generated = await run_round(
            engine, round_of(WORDS, max_tokens=1, temperature=0.0, logprobs=1, logit_bias={70: 100})
        )
        (token,) = generated.scored[0]
        scored = (await engine.score([*WORDS, 70], num_top=1))[-1]
        assert scored.logprob == pytest.approx(token.logprob, abs=2e-3)


async def test_long_prompts_are_scored_over_several_steps(free: LlamaEngine) -> None:
    prompt = random.Random(1).choices(range(6, 260), k=500)
    whole = await free.score(prompt, num_top=1)
    start = await free.score(prompt[:300], num_top=1)
    assert len(whole) == 500
    for one, other in zip(whole[1:300], start[1:], strict=True):
        # The cache holds 16-bit numbers, so other steps round otherwise.
        assert one.logprob == pytest.approx(other.logprob, abs=1e-2)


async def test_log_probabilities_are_those_before_temperature_bias_and_penalties(free: LlamaEngine) -> None:
    plain = await run_round(free, round_of(WORDS, max_tokens=1, temperature=0.0, logprobs=5))
    bent = await run_round(
        free,
        round_of(
            WORDS, max_tokens=1, temperature=1.7, top_p=0.5, logprobs=5, presence_penalty=2.0, logit_bias={80: 100}
        ),
    )
    assert bent.scored[0][0].token_id == 80
    bent_top, plain_top = bent.scored[0][0].top, plain.scored[0][0].top
    assert [each.token_id for each in bent_top] == [each.token_id for each in plain_top]
    # A prompt that is cached is computed in other portions, which moves the last digits.
    assert [each.logprob for each in bent_top] == pytest.approx([each.logprob for each in plain_top], abs=1e-4)


async def test_prompt_tokens_bear_no_penalty(free: LlamaEngine) -> None:
    """OpenAI counts what was generated."""
    favourite = (
        (await run_round(free, round_of(WORDS, max_tokens=1, temperature=0.0, logprobs=0))).scored[0][0].token_id
    )
    # The favourite after this prompt stays the favourite although the prompt is full of it.
    prompt = (*([favourite] * 100), *WORDS)
    for penalties in ({}, {"frequency_penalty": 2.0}, {"presence_penalty": 2.0, "frequency_penalty": 1.0}):
        outcome = await run_round(free, round_of(prompt, max_tokens=1, temperature=0.0, logprobs=1, **penalties))
        (token,) = outcome.scored[0]
        assert token.token_id == token.top[0].token_id


async def test_penalties_count_every_generated_token(chained: LlamaEngine) -> None:
    """A token that is forced with a bias of 20 yields when 10 repetitions have cost it more."""
    bias = {80: 20.0}
    free_run = await run_round(chained, round_of(WORDS, max_tokens=30, temperature=0.0, logprobs=0, logit_bias=bias))
    assert {token.token_id for token in free_run.scored[0]} == {80}
    fined = await run_round(
        chained,
        round_of(WORDS, max_tokens=30, temperature=0.0, logprobs=0, logit_bias=bias, frequency_penalty=2.0),
    )
    before_another = [token.token_id for token in fined.scored[0]].index(
        next(token.token_id for token in fined.scored[0] if token.token_id != 80)
    )
    assert 8 <= before_another <= 11
    once = await run_round(
        chained,
        round_of(WORDS, max_tokens=4, temperature=0.0, logprobs=0, logit_bias={80: 1.0, 81: 0.0}, presence_penalty=2.0),
    )
    assert [token.token_id for token in once.scored[0]].count(80) <= 1


async def test_a_prompts_token_bears_the_presence_penalty_once_it_was_generated(chained: LlamaEngine) -> None:
    """Exactly then: what stands in the prompt counts neither for nor against it."""
    prompt = (*([80] * 20), *WORDS)
    settings = {"max_tokens": 8, "temperature": 0.0, "logprobs": 1}
    (forced,) = (await run_round(chained, round_of(prompt, logit_bias={80: 100.0}, **settings))).scored
    # What the token lacks to be the best at each place; half of one more makes it the best everywhere.
    bias = {80: max((token.top[0].logprob or 0.0) - (token.logprob or 0.0) for token in forced) + 0.5}
    (unfined,) = (await run_round(chained, round_of(prompt, logit_bias=bias, **settings))).scored
    assert [token.token_id for token in unfined] == [80] * 8
    (fined,) = (await run_round(chained, round_of(prompt, logit_bias=bias, presence_penalty=2.0, **settings))).scored
    assert fined[0].token_id == 80
    assert fined[1].token_id != 80


async def test_no_sampler_cuts_what_was_not_asked_for(free: LlamaEngine) -> None:
    """Runtimes of text models like to cut at the 40 best by themselves."""
    outcome = await run_round(
        free, round_of(WORDS, max_tokens=60, num_sequences=4, temperature=2.0, logprobs=20, seed=3)
    )
    beyond = [
        token
        for scored in outcome.scored
        for token in scored
        if token.logprob is not None and token.logprob < token.top[-1].logprob + math.log(0.5)
    ]
    assert len(beyond) > 10


async def test_top_p_keeps_only_the_most_probable(free: LlamaEngine) -> None:
    outcome = await run_round(free, round_of(WORDS, max_tokens=30, temperature=1.0, top_p=0.01, logprobs=1))
    assert all(token.token_id == token.top[0].token_id for token in outcome.scored[0])


async def test_a_banned_token_is_never_chosen(chained: LlamaEngine) -> None:
    (following,) = byte_ids("b")
    outcome = await run_round(
        chained, round_of(byte_ids("a"), max_tokens=1, temperature=0.0, logprobs=1, logit_bias={following: -100.0})
    )
    assert outcome.scored[0][0].token_id != following
    assert outcome.scored[0][0].top[0].token_id == following


async def test_the_scores_of_a_stop_strings_tokens_are_not_shown(chained: LlamaEngine) -> None:
    request = round_of(byte_ids("g"), max_tokens=17, temperature=0.0, stop=("b",), logprobs=0)
    outcome = await run_round(chained, request)
    assert outcome.texts == ["ha"]
    assert [token.piece for token in outcome.scored[0]] == [b"h", b"a"]
    assert outcome.num_tokens == [3]


async def test_the_end_token_stops_and_is_counted_but_not_shown(chained: LlamaEngine) -> None:
    request = round_of(byte_ids("a"), max_tokens=9, temperature=0.0, logprobs=0, logit_bias={END_OF_TURN_ID: 100.0})
    outcome = await run_round(chained, request)
    assert (outcome.texts, outcome.reasons, outcome.num_tokens) == ([""], [FinishReason.STOP], [1])
    assert outcome.scored == [[]]


async def test_every_token_of_a_character_is_scored_also_of_one_that_the_limit_cuts(chained: LlamaEngine) -> None:
    request = round_of(byte_ids("a"), max_tokens=13, temperature=0.0, logprobs=2)
    outcome = await run_round(chained, request)
    (scored,) = outcome.scored
    said = byte_ids("b€cd🦊efé")[:13]
    assert [token.token_id for token in scored] == list(said)
    assert b"".join(token.piece for token in scored).decode(errors="replace") == outcome.texts[0]
    whole = await chained.score((*byte_ids("a"), *said), num_top=2)
    for token, again in zip(scored, whole[1:], strict=True):
        assert token.logprob == pytest.approx(again.logprob, abs=1e-2)
        assert [each.token_id for each in token.top] == [each.token_id for each in again.top]
        assert [each.piece for each in token.top] == [each.piece for each in again.top]


async def test_different_seeds_and_sequences_differ(free: LlamaEngine) -> None:
    seeded = [
        await run_round(free, round_of(WORDS, max_tokens=12, num_sequences=4, temperature=1.0, seed=seed))
        for seed in (5, 5, -5, 2**63)
    ]
    assert seeded[0].texts == seeded[1].texts
    assert len(set(seeded[0].texts)) == 4
    assert len({tuple(outcome.texts) for outcome in seeded}) == 3


async def test_a_prompt_that_was_read_before_comes_from_the_cache(free: LlamaEngine) -> None:
    prompt = random.Random(2).choices(range(6, 260), k=200)
    first = await run_round(free, round_of(prompt, max_tokens=1, temperature=0.0))
    second = await run_round(free, round_of(prompt, max_tokens=1, temperature=0.0))
    assert first.usage.cached_tokens < 10
    assert second.usage.cached_tokens == 199
    assert first.texts == second.texts


async def test_an_end_tells_whether_the_prompt_was_begun(free: LlamaEngine) -> None:
    early = await free.generate(round_of(WORDS, max_tokens=4))
    # Nothing came from the worker yet.
    assert [await early.aclose(), await early.aclose()] == [None, None]
    late = await free.generate(round_of(random.Random(5).choices(range(6, 260), k=200), max_tokens=200))
    await anext(late)
    assert None not in [await late.aclose(), await late.aclose()]


async def test_prompt_and_completion_may_fill_the_context_to_the_last_token(free: LlamaEngine) -> None:
    prompt = random.Random(3).choices(range(6, 260), k=500)
    outcome = await run_round(
        free, round_of(prompt, max_tokens=12, temperature=0.0, logit_bias={END_OF_TURN_ID: -100, 0: -100})
    )
    assert outcome.num_tokens == [12]
    assert outcome.reasons == [FinishReason.LENGTH]


async def test_special_tokens_in_a_prompt_of_ids_reach_the_model(free: LlamaEngine) -> None:
    outcome = await run_round(free, round_of((1, *WORDS, END_OF_TURN_ID, 1), max_tokens=2, temperature=0.0))
    assert outcome.usage.input_tokens == len(WORDS) + 3


@pytest.mark.parametrize("num_sequences", [1, 4])
async def test_an_abort_in_decode_frees_the_slots(lasting: LlamaEngine, num_sequences: int) -> None:
    request = round_of(byte_ids("a"), max_tokens=LASTING_TOKENS, num_sequences=num_sequences, temperature=0.0)
    generation = await lasting.generate(request)
    await anext(generation)
    assert await lasting.busy_slots()
    await generation.aclose()
    assert await tokens_until_idle(lasting) < LASTING_TOKENS / 2


async def test_an_abort_before_the_first_answer_frees_the_slots(lasting: LlamaEngine) -> None:
    generations = [
        await lasting.generate(round_of(byte_ids("a") * 200, max_tokens=LASTING_TOKENS, temperature=0.0))
        for _ in range(4)
    ]
    await asyncio.sleep(0)
    for generation in generations:
        await generation.aclose()
    assert await tokens_until_idle(lasting) < LASTING_TOKENS / 2


async def test_many_aborts_at_any_moment_leave_every_slot_free(lasting: LlamaEngine) -> None:
    moments = random.Random(4)

    async def leave() -> None:
        generation = await lasting.generate(round_of(byte_ids("a"), max_tokens=LASTING_TOKENS, temperature=0.0))
        try:
            async with asyncio.timeout(moments.random() * 0.05):
                async for _ in generation:
                    pass
        except TimeoutError:
            pass
        finally:
            await generation.aclose()

    for _ in range(25):
        await asyncio.gather(*(leave() for _ in range(4)))
    assert await tokens_until_idle(lasting) < LASTING_TOKENS / 2
    assert lasting.num_open_rounds == 0
    outcome = await run_round(lasting, round_of(byte_ids("a"), max_tokens=4, temperature=0.0))
    assert outcome.texts == ["b€"]


async def test_a_withdrawn_score_lets_the_next_one_through(free: LlamaEngine) -> None:
    prompt = random.Random(5).choices(range(6, 260), k=500)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.gather(*(free.score(prompt, num_top=5) for _ in range(5)))
    assert len(await free.score(prompt[:10], num_top=1)) == 10


async def test_scoring_beside_generation_disturbs_neither(free: LlamaEngine) -> None:
    prompt = random.Random(6).choices(range(6, 260), k=300)
    request = round_of(WORDS, max_tokens=60, temperature=0.0)
    alone, alone_scored = await run_round(free, request), await free.score(prompt, num_top=2)
    beside = await asyncio.gather(
        *(run_round(free, round_of(WORDS, max_tokens=60, temperature=0.0)) for _ in range(3)),
        *(free.score(prompt, num_top=2) for _ in range(6)),
    )
    for outcome in beside[:3]:
        assert outcome.num_tokens == alone.num_tokens
    for scored in beside[3:]:
        assert [token.token_id for token in scored] == [token.token_id for token in alone_scored]
        for one, other in zip(scored[1:], alone_scored[1:], strict=True):
            # The cache holds 16-bit numbers, so other steps round otherwise.
            assert one.logprob == pytest.approx(other.logprob, abs=1e-2)


async def test_what_the_engine_refuses_is_a_failure_of_the_engine_not_of_the_process(free: LlamaEngine) -> None:
    """Admission refuses these before; should one slip through, the round fails and the next one works."""
    for prompt in ((), (99_999,), WORDS * 100):
        with pytest.raises(EngineFailed):
            await run_round(free, round_of(prompt, max_tokens=1, temperature=0.0))
    with pytest.raises(EngineFailed):
        await free.score((99_999, 5), num_top=1)
    outcome = await run_round(free, round_of(WORDS, max_tokens=1, temperature=0.0))
    assert outcome.num_tokens == [1]


async def test_tokens_come_one_by_one_not_at_the_end(chained: LlamaEngine) -> None:
    generation = await chained.generate(round_of(byte_ids("a"), max_tokens=400, temperature=0.0))
    num_deltas = 0
    async for event in generation:
        if isinstance(event, Delta) and event.num_tokens:
            num_deltas += 1
        if isinstance(event, Finished):
            # Three of the thirteen characters take two to four tokens each.
            assert num_deltas > 200


async def test_a_worker_that_speaks_nonsense_is_ended_and_replaced(tmp_path: Path) -> None:
    async with llama_engine(tmp_path) as engine:
        pid = engine.pid
        for nonsense in ({"event": "step"}, {"event": "step", "tokens": [[1, 0, "", 5, 3, 0, None]], "begun": []}):
            with pytest.raises(WorkerFailed):
                engine._hear(nonsense, b"")
        generation = await engine.generate(round_of(byte_ids("a"), max_tokens=400, temperature=0.0))
        assert engine._child._live is not None
        engine._child._live.dialogue._fail(WorkerFailed("nonsense"))
        with pytest.raises(EngineFailed):
            async for _ in generation:
                pass
        outcome = await run_round(engine, round_of(byte_ids("a"), max_tokens=2, temperature=0.0))
        assert outcome.num_tokens == [2]
        assert engine.pid != pid
