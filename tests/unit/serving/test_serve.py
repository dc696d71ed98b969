"""What a request becomes: choices in order, echo, best_of, limits of the window, and refusals in their order."""

from dataclasses import replace

import pytest
from msgspec import structs

from parley.core.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    ModelNotFound,
    NotFound,
    PermissionDenied,
    RateLimited,
    UnsupportedParameter,
)
from parley.core.events import Delta, Finished, FinishReason, SequenceFinished
from parley.core.picture import Detail, PictureSource
from parley.core.price import Price
from parley.core.requests import ChatMessage, ChatPrompt, Inset, TextPrompt
from parley.core.snapshot import EngineKind
from parley.core.template import Role
from tests.builders_serving import (
    ECHO_WEIGHTS,
    RankedEngine,
    chat,
    completion,
    make_bench,
    make_principal,
    make_snapshot,
    texts,
)

WIDE = make_snapshot(weights=replace(ECHO_WEIGHTS, context_length=100_000), context=100_000)


async def test_chat_is_answered_by_the_engine():
    events = await make_bench().run(chat("hello"))
    assert texts(events) == {0: "hello"}
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, Finished) for event in events) == 1


async def test_choices_are_numbered_prompt_by_prompt():
    events = await make_bench().run(completion("one", "two", n=2, best_of=2, max_tokens=9))
    assert texts(events) == {0: "one", 1: "one", 2: "two", 3: "two"}


async def test_more_sequences_than_slots_run_in_rounds():
    events = await make_bench().run(completion("hi", n=10, best_of=10, max_tokens=9))
    assert texts(events) == dict.fromkeys(range(10), "hi")
    finished = [event.sequence for event in events if isinstance(event, SequenceFinished)]
    assert sorted(finished) == list(range(10))


async def test_the_prompt_counts_once_whatever_n():
    bench = make_bench()
    await bench.run(completion("hello", n=10, best_of=10, max_tokens=9))
    assert bench.sink.records[0].usage.input_tokens == 5
    assert bench.sink.records[0].usage.output_tokens == 50


async def test_echo_puts_the_prompt_before_each_choice():
    events = await make_bench().run(completion("ab", echo=True, n=2, best_of=2, max_tokens=1))
    assert texts(events) == {0: "aba", 1: "aba"}


async def test_echo_without_new_tokens_tells_the_prompt_alone():
    bench = make_bench()
    events = await bench.run(completion("ab", "c", echo=True, max_tokens=0))
    assert texts(events) == {0: "ab", 1: "c"}
    assert [e.finish_reason for e in events if isinstance(e, SequenceFinished)] == [FinishReason.LENGTH] * 2
    assert bench.sink.records[0].usage.input_tokens == 3
    assert bench.sink.records[0].usage.output_tokens == 0


async def test_echo_with_logprobs_scores_the_prompt_and_its_first_token_has_none():
    events = await make_bench().run(completion("abc", echo=True, logprobs=2, max_tokens=0))
    tokens = events[0].tokens
    assert [token.piece for token in tokens] == [b"a", b"b", b"c"]
    assert tokens[0].logprob is None
    assert tokens[0].top == ()
    assert all(token.logprob < 0 and len(token.top) == 2 for token in tokens[1:])


async def test_an_empty_prompt_starts_a_new_document():
    bench = make_bench()
    run = await bench.open(completion("", max_tokens=3))
    assert run.grant.prompts[0].token_ids == (256,)
    assert run.grant.prompts[0].echo_ids == ()
    await run.aclose()


async def test_best_of_returns_the_best_ranked_candidates_and_charges_all():
    bench = make_bench(engine=RankedEngine(0))
    events = await bench.run(completion("x", n=2, best_of=4, max_tokens=5))
    assert texts(events) == {0: "3", 1: "2"}
    assert all(event.tokens == () for event in events if isinstance(event, Delta))
    assert bench.sink.records[0].usage.output_tokens == 4


async def test_best_of_ranks_over_several_rounds_and_keeps_logprobs_that_were_asked_for():
    bench = make_bench(engine=RankedEngine(0))
    events = await bench.run(completion("x", n=1, best_of=6, logprobs=1, max_tokens=5))
    assert texts(events) == {0: "3"}
    assert [len(event.tokens) for event in events if isinstance(event, Delta)] == [1]


async def test_cached_tokens_reach_the_record():
    bench = make_bench(engine=RankedEngine(0))
    await bench.run(completion("xyz", max_tokens=5))
    assert bench.sink.records[0].usage.cached_tokens == 2


async def test_suffix_becomes_a_fill_in_the_middle_prompt():
    bench = make_bench()
    request = completion(max_tokens=3, prompts=(TextPrompt(text="a", suffix="b"),))
    run = await bench.open(request)
    assert run.grant.prompts[0].token_ids == (259, ord("a"), 260, ord("b"), 261)
    await run.aclose()


async def test_unknown_model_is_not_found():
    with pytest.raises(ModelNotFound):
        await make_bench().open(chat("x", model="nothing"))


async def test_a_model_without_the_capability_says_what_it_can():
    with pytest.raises(NotFound, match="chat, complete"):
        await make_bench().open(chat("x", endpoint="/v1/edits"))


async def test_a_name_without_weights_is_not_found():
    bench = make_bench(snapshots=[make_snapshot(weights=None)])
    with pytest.raises(ModelNotFound):
        await bench.open(chat("x"))


async def test_a_key_for_other_models_is_refused_before_anything_is_counted():
    principal = make_principal(allowed_models=frozenset({"other"}))
    with pytest.raises(PermissionDenied) as refused:
        await make_bench().open(chat("x" * 10_000), principal)
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("allowed", ["echo-1"])
async def test_a_key_for_this_model_is_let_in(allowed):
    bench = make_bench()
    run = await bench.open(chat("x"), make_principal(allowed_models=frozenset({allowed})))
    await run.aclose()


async def test_without_max_tokens_the_rest_of_the_window_may_be_used():
    run = await make_bench(snapshots=[make_snapshot(context=100)]).open(chat("hello"))
    assert run.grant.max_tokens[0] == 100 - len(run.grant.prompts[0].token_ids)
    await run.aclose()


async def test_a_chat_that_does_not_fit_says_how_long_it_is():
    with pytest.raises(ContextLengthExceeded) as refused:
        await make_bench(snapshots=[make_snapshot(context=100)]).open(chat("y" * 90))
    assert refused.value.message == (
        "This model's maximum context length is 100 tokens. However, your messages resulted in 109 tokens. "
        "Please reduce the length of the messages."
    )
    assert (refused.value.param, refused.value.code) == ("messages", "context_length_exceeded")


async def test_a_budget_that_does_not_fit_is_told_apart_from_the_messages():
    with pytest.raises(ContextLengthExceeded) as refused:
        await make_bench(snapshots=[make_snapshot(context=100)]).open(chat("y" * 20, max_tokens=80))
    assert "you requested 119 tokens (39 in the messages, 80 in the completion)" in refused.value.message


async def test_a_completion_that_does_not_fit_counts_both_parts():
    with pytest.raises(ContextLengthExceeded) as refused:
        await make_bench(snapshots=[make_snapshot(context=100)]).open(completion("y" * 90, max_tokens=16))
    assert "you requested 106 tokens (90 in your prompt; 16 for the completion)" in refused.value.message


async def test_a_text_that_no_tokenisation_could_fit_is_refused_unread():
    with pytest.raises(ContextLengthExceeded, match="at least 5000000 tokens"):
        await make_bench().open(completion("y" * 5_000_000, max_tokens=16))


@pytest.mark.parametrize("token_id", [-1, 262, 2**40])
async def test_token_ids_outside_the_vocabulary_are_refused_by_name(token_id):
    with pytest.raises(InvalidRequest, match="262 tokens") as refused:
        await make_bench().open(completion(max_tokens=3, prompts=(TextPrompt(token_ids=(1, token_id)),)))
    assert refused.value.param == "prompt"


async def test_a_bias_outside_the_vocabulary_is_refused_by_name():
    with pytest.raises(InvalidRequest) as refused:
        await make_bench().open(chat("x", logit_bias={50_256: -100.0}))
    assert refused.value.param == "logit_bias"


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 128, "best_of": 128, "max_tokens": 9_000},
        {"n": 128, "best_of": 128, "max_tokens": 2_000, "logprobs": 4},
        {"n": 1, "best_of": 20, "max_tokens": 60_000},
        {"n": 128, "best_of": 128, "echo": True, "logprobs": 0, "max_tokens": 0},
    ],
)
async def test_a_reply_that_could_fill_the_memory_is_refused(fields):
    bench = make_bench(snapshots=[WIDE])
    prompt = TextPrompt(token_ids=(7,) * 9_000)
    with pytest.raises(InvalidRequest, match="a reply may have 1048576") as refused:
        await bench.open(completion(prompts=(prompt,), **fields))
    assert refused.value.param == "max_tokens"


async def test_a_large_reply_is_let_in():
    bench = make_bench(snapshots=[WIDE])
    run = await bench.open(completion("a", n=20, best_of=20, max_tokens=8_000, logprobs=5))
    assert run.grant.max_tokens == (8_000,)
    await run.aclose()


async def test_without_max_tokens_many_choices_share_what_a_reply_may_have():
    bench = make_bench(snapshots=[WIDE])
    run = await bench.open(chat("a", n=128, best_of=128, logprobs=15))
    assert run.grant.max_tokens == (2**20 // 128 // 16,)
    await run.aclose()


async def test_what_follows_a_prompt_that_is_too_long_is_not_read():
    bench = make_bench()
    with pytest.raises(ContextLengthExceeded, match="990 in your prompt"):
        await bench.open(completion("short", "y" * 990, *["z" * 500] * 50, max_tokens=16))
    assert bench.tokenizer.num_encoded == 2


def with_pictures(count: int, **changes: object):
    """`hello` with pictures behind it; each takes 64 cells on the echo engine."""
    insets = tuple(
        Inset(5, PictureSource(encoded=f"picture {n}", detail=Detail.AUTO, param=f"picture {n}")) for n in range(count)
    )
    message = ChatMessage(role=Role.USER, content="hello", pictures=insets)
    return structs.replace(chat("hello", **changes), prompts=(ChatPrompt(messages=(message,)),))


async def test_pictures_count_like_tokens_in_usage_window_and_money():
    bench = make_bench()
    await bench.run(chat("hello"))
    assert texts(await bench.run(with_pictures(2))) == {0: "hello"}
    plain, seen = bench.sink.records
    assert seen.usage.input_tokens == plain.usage.input_tokens + 2 * 64
    small = replace(ECHO_WEIGHTS, context_length=plain.usage.input_tokens + 100)
    narrow = make_bench(snapshots=[make_snapshot(weights=small)])
    with pytest.raises(ContextLengthExceeded):
        await narrow.open(with_pictures(2))
    assert texts(await narrow.run(with_pictures(1))) == {0: "hello"}


async def test_credit_that_covers_the_text_but_not_its_pictures_is_not_enough():
    price = Price(version="dear", input_token_nano=10, cached_token_nano=10, output_token_nano=1)
    bench = make_bench(snapshots=[make_snapshot(price=price)], is_metered=True)
    plain = await make_bench().open(chat("hello", max_tokens=1))
    (prompt,) = plain.grant.prompts
    await plain.aclose()
    organization = make_principal().organization_id
    bench.billing.books.add_credit(organization, (prompt.num_tokens + 63) * 10 + 1)
    with pytest.raises(RateLimited):
        await bench.open(with_pictures(1, max_tokens=1))
    bench.billing.books.add_credit(organization, 10)
    run = await bench.open(with_pictures(1, max_tokens=1))
    assert run.grant.hold.amount_nano == (prompt.num_tokens + 64) * 10 + 1
    await run.aclose()


async def test_pictures_for_a_model_that_does_not_see_are_refused_by_name_and_read_by_nobody():
    blind = replace(ECHO_WEIGHTS, engine=EngineKind.LLAMA)
    bench = make_bench(snapshots=[make_snapshot(weights=blind)])
    with pytest.raises(UnsupportedParameter) as refused:
        await bench.open(with_pictures(2))
    assert refused.value.param == "picture 0"
    assert make_snapshot().name in refused.value.message
    assert bench.tokenizer.num_encoded == 0


async def test_two_pictures_are_never_one_request():
    bench = make_bench()
    runs = [await bench.open(with_pictures(count)) for count in (1, 1, 2)]
    ids = [run.grant.prompts[0].token_ids for run in runs]
    assert ids[0] == ids[1]
    assert len(ids[2]) == len(ids[0]) + 64
    for run in runs:
        await run.aclose()
