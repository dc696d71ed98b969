"""What every engine promises, checked on each one that ships."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from parley.core.events import Delta, Finished, FinishReason
from tests.builders_engines import (
    Subject,
    echo_subject,
    llama_engine,
    llama_subject,
    round_of,
    run_round,
    upstream_subject,
)
from tests.builders_upstreams import llama_server_engine

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["echo", "llama", "upstream"])
async def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Subject]:
    if request.param == "echo":
        yield echo_subject()
        return
    folder = tmp_path_factory.mktemp("contract")
    if request.param == "upstream":
        async with llama_server_engine(folder) as upstream:
            yield upstream_subject(upstream)
        return
    async with llama_engine(folder) as engine:
        yield llama_subject(engine)


async def test_a_round_ends_with_one_finished_that_counts_all_tokens(subject: Subject) -> None:
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=9, temperature=0.0))
    assert outcome.num_tokens == [9]
    assert outcome.usage.input_tokens == len(subject.prompt)
    assert outcome.usage.output_tokens == 9
    assert outcome.reasons == [FinishReason.LENGTH]


async def test_greedy_answers_are_the_most_probable_text(subject: Subject) -> None:
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=14, temperature=0.0))
    assert outcome.texts == [subject.answer.encode()[:14].decode()]


async def test_only_whole_characters_are_sent_and_every_token_is_counted(subject: Subject) -> None:
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=16, temperature=0.0))
    deltas = [event for event in outcome.events if isinstance(event, Delta)]
    assert "€" in [delta.text for delta in deltas]
    assert not any("\ufffd" in delta.text for delta in deltas)
    assert sum(delta.num_tokens for delta in deltas) == 16


async def test_a_character_that_the_limit_cuts_is_left_out(subject: Subject) -> None:
    cut = subject.answer.encode().index("€".encode()) + 1
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=cut, temperature=0.0))
    assert outcome.texts[0].rstrip("\ufffd") == subject.answer[: subject.answer.index("€")]
    assert outcome.num_tokens == [cut]


async def test_n_sequences_each_have_their_tokens_and_their_end(subject: Subject) -> None:
    num = subject.most_sequences
    request = round_of(subject.prompt, max_tokens=5, num_sequences=num, temperature=0.0)
    outcome = await run_round(subject.engine, request)
    assert outcome.num_tokens == [5] * num
    assert len(set(outcome.texts)) == 1
    assert outcome.usage.output_tokens == 5 * num
    assert outcome.usage.input_tokens == len(subject.prompt)


async def test_one_token_is_one_token(subject: Subject) -> None:
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=1, temperature=0.0))
    assert outcome.num_tokens == [1]
    assert outcome.texts == [subject.answer[0]]


@pytest.mark.parametrize("stop", ["d", "cd", "€c", "b€cd🦊", "🦊"])
async def test_a_stop_string_ends_the_text_before_it(subject: Subject, stop: str) -> None:
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=17, temperature=0.0, stop=(stop,)))
    assert outcome.texts == [subject.answer[: subject.answer.index(stop)]]
    assert outcome.reasons == [FinishReason.STOP]


async def test_the_first_of_four_stop_strings_counts(subject: Subject) -> None:
    stop = ("zz", "🦊", "€c", "nowhere")
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=17, temperature=0.0, stop=stop))
    assert outcome.texts == [subject.answer[: subject.answer.index("€c")]]


async def test_text_that_only_began_a_stop_string_is_sent_at_the_end(subject: Subject) -> None:
    if not subject.sends_begun_stop:
        pytest.skip("llama.cpp's own server forgets it")
    stop = ("cd never",)
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=6, temperature=0.0, stop=stop))
    assert outcome.texts == ["b€cd"]
    assert outcome.num_tokens == [6]
    assert outcome.reasons == [FinishReason.LENGTH]


async def test_the_tokens_of_a_stop_string_are_counted(subject: Subject) -> None:
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=17, temperature=0.0, stop=("cd",)))
    assert outcome.num_tokens == [len("b€cd".encode())]


async def test_the_scores_of_a_stop_strings_tokens_are_not_shown(subject: Subject) -> None:
    request = round_of(subject.prompt, max_tokens=17, temperature=0.0, stop=("cd",), logprobs=0)
    outcome = await run_round(subject.engine, request)
    shown = "b€".encode()
    # llama.cpp's own server names no token that left a character unfinished.
    expected = shown if subject.names_every_token else shown[:1] + shown[-1:]
    assert b"".join(token.piece for token in outcome.scored[0]) == expected
    assert outcome.texts == ["b€"]


async def test_log_probabilities_are_sorted_and_belong_to_the_tokens(subject: Subject) -> None:
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=1, temperature=0.0, logprobs=3))
    (token,) = outcome.scored[0]
    assert token.piece == subject.answer[0].encode()
    assert len(token.top) == 3
    assert token.top[0].token_id == token.token_id
    assert token.top[0].logprob == token.logprob
    assert [each.logprob for each in token.top] == sorted((each.logprob for each in token.top), reverse=True)
    assert all(each.logprob < 0 for each in token.top)


async def test_zero_alternatives_still_give_the_tokens_own_log_probability(subject: Subject) -> None:
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=1, temperature=0.0, logprobs=0))
    (token,) = outcome.scored[0]
    assert token.top == ()
    assert token.logprob is not None
    assert token.logprob < 0


async def test_without_logprobs_no_scores_are_sent(subject: Subject) -> None:
    outcome = await run_round(subject.engine, round_of(subject.prompt, max_tokens=3, temperature=0.0))
    assert outcome.scored == [[]]


async def test_one_seed_gives_one_answer(subject: Subject) -> None:
    outcomes = [
        await run_round(subject.engine, round_of(subject.prompt, max_tokens=12, temperature=1.0, seed=7))
        for _ in range(3)
    ]
    assert len({outcome.texts[0] for outcome in outcomes}) == 1


async def test_a_forced_token_is_the_only_one(subject: Subject) -> None:
    forced = subject.prompt[0]
    bias = {forced: 100.0}
    outcome = await run_round(
        subject.engine, round_of(subject.prompt, max_tokens=3, temperature=1.0, logit_bias=bias, logprobs=0)
    )
    assert {token.token_id for token in outcome.scored[0]} == {forced}


async def test_a_closed_round_says_no_more_and_is_no_longer_open(subject: Subject) -> None:
    generation = await subject.engine.generate(round_of(subject.prompt, max_tokens=17, temperature=0.0))
    first = await anext(generation)
    assert not isinstance(first, Finished)
    await generation.aclose()
    await generation.aclose()
    assert [event async for event in generation] == []
    assert subject.open_rounds() == 0


async def test_a_round_closed_before_it_was_read_leaves_nothing(subject: Subject) -> None:
    generation = await subject.engine.generate(round_of(subject.prompt, temperature=0.0))
    await generation.aclose()
    assert [event async for event in generation] == []
    assert subject.open_rounds() == 0


async def test_an_abort_ends_its_round_and_no_other(subject: Subject) -> None:
    aborted, other = (round_of(subject.prompt, max_tokens=16, temperature=0.0) for _ in range(2))
    first, second = await subject.engine.generate(aborted), await subject.engine.generate(other)
    await anext(first)
    await subject.engine.abort(aborted.round_id)
    assert [event async for event in first] == []
    rest = [event async for event in second]
    assert isinstance(rest[-1], Finished)
    assert rest[-1].usage.output_tokens == 16


async def test_aborting_what_is_unknown_or_finished_is_harmless(subject: Subject) -> None:
    request = round_of(subject.prompt, max_tokens=2, temperature=0.0)
    await subject.engine.abort("round_unknown")
    await run_round(subject.engine, request)
    await subject.engine.abort(request.round_id)


async def test_all_slots_work_at_once_and_are_free_afterwards(subject: Subject) -> None:
    for _ in range(3):
        requests = [round_of(subject.prompt, max_tokens=6, temperature=0.0) for _ in range(subject.engine.num_slots)]
        outcomes = await asyncio.gather(*(run_round(subject.engine, request) for request in requests))
        assert {outcome.texts[0] for outcome in outcomes} == {outcomes[0].texts[0]}
    assert subject.open_rounds() == 0


async def test_scores_of_a_prompt_leave_out_only_the_first_token(subject: Subject) -> None:
    if not subject.can_score:
        pytest.skip("it cannot, and is not asked to")
    prompt = subject.prompt * 8
    scored = await subject.engine.score(prompt[:8], num_top=2)
    assert [token.token_id for token in scored] == list(prompt[:8])
    assert scored[0].logprob is None
    assert scored[0].top == ()
    assert all(token.logprob is not None and token.logprob < 0 and len(token.top) == 2 for token in scored[1:])


async def test_scores_without_alternatives_have_none(subject: Subject) -> None:
    if not subject.can_score:
        pytest.skip("it cannot, and is not asked to")
    scored = await subject.engine.score(subject.prompt[:1] * 4, num_top=0)
    assert [token.top for token in scored] == [()] * 4
