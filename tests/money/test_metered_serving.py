"""Money in the way of a request: refused before the first byte, cut where the balance ends, charged at the price of then."""

import asyncio
import random
from dataclasses import replace

import pytest

from parley.core.errors import EngineFailed, Overloaded, RateLimited
from parley.core.events import Delta, Finished, FinishReason, SequenceFinished
from parley.core.price import Price
from parley.core.usage import Doubt, Outcome, Usage
from parley.serving.engines.echo import EchoEngine
from tests.builders_serving import (
    ECHO_WEIGHTS,
    BrokenEngine,
    ScriptedGeneration,
    chat,
    completion,
    make_bench,
    make_snapshot,
    texts,
)

PRICE = Price(version="test:1", input_token_nano=2, cached_token_nano=1, output_token_nano=3)


def metered(nano, *, engine=None, context=1_000, **changes):
    weights = replace(ECHO_WEIGHTS, context_length=context)
    snapshot = make_snapshot(weights=weights, context=context, price=PRICE)
    bench = make_bench(engine=engine, snapshots=(snapshot,), is_metered=True, **changes)
    bench.billing.books.add_credit("org_a", nano)
    return bench


def is_settled(bench):
    books = bench.billing.books
    return books.held_nano("org_a") == 0 and not books.holds


async def test_a1_of_two_hundred_at_once_as_many_run_as_are_paid_for():
    # The prompt's four bytes and four tokens of reply.
    worst = 4 * 2 + 4 * 3
    bench = metered(50 * worst, engine=EchoEngine(num_slots=4, token_delay_seconds=0.0), max_waiting=500)
    start = asyncio.Event()

    async def request():
        await start.wait()
        try:
            run = await bench.open(completion("abcd", max_tokens=4))
        except RateLimited as refused:
            return refused.kind
        return [event async for event in run][-1]

    requests = [asyncio.ensure_future(request()) for _ in range(200)]
    await asyncio.sleep(0)
    start.set()
    results = await asyncio.gather(*requests)
    assert sum(isinstance(result, Finished) for result in results) == 50
    assert results.count("insufficient_quota") == 150
    assert bench.billing.books.available_nano("org_a") == 0
    assert is_settled(bench)


async def test_a2_a_reply_ends_with_length_where_the_balance_does():
    # 700 prompt tokens, then a block of 512 and 40 more.
    bench = metered(700 * 2 + 552 * 3 + 1, context=8_000)
    # Forced to repeat one token, the engine would go on to the end of the context.
    events = await bench.run(completion("a" * 700, logit_bias={98: 100}))
    assert SequenceFinished(0, FinishReason.LENGTH) in events
    assert texts(events)[0] == "b" * 552
    (record,) = bench.sink.records
    assert (record.charge_nano, record.usage.output_tokens) == (700 * 2 + 552 * 3, 552)
    assert bench.billing.books.available_nano("org_a") == 1
    assert is_settled(bench)


async def test_a2_every_choice_ends_where_the_balance_does():
    bench = metered(4 * 2 + 100 * 3, context=8_000)
    events = await bench.run(completion("aaaa", n=3, logit_bias={98: 100}))
    finishes = [event for event in events if isinstance(event, SequenceFinished)]
    assert sorted(finish.sequence for finish in finishes) == [0, 1, 2]
    assert {finish.finish_reason for finish in finishes} == {FinishReason.LENGTH}
    assert bench.sink.records[0].usage.output_tokens == 100
    assert bench.billing.books.available_nano("org_a") == 0


async def test_a_stated_maximum_that_is_not_affordable_is_refused_before_anything_runs():
    bench = metered(4 * 2 + 9 * 3)
    with pytest.raises(RateLimited):
        await bench.open(completion("aaaa", max_tokens=10))
    assert bench.pool.num_free_slots == 4
    assert bench.sink.records == []
    assert is_settled(bench)


async def test_what_was_not_used_is_given_back():
    bench = metered(10**6)
    await bench.run(completion("hello", max_tokens=500))
    assert bench.billing.books.available_nano("org_a") == 10**6 - 5 * 2 - 5 * 3


async def test_a3_a_client_that_leaves_pays_for_what_was_generated():
    for num_events in range(1, 6):
        bench = metered(10**6)
        run = await bench.open(completion("hello", is_stream=True))
        for _ in range(num_events):
            await run.__anext__()
        await run.aclose()
        (record,) = bench.sink.records
        assert (record.outcome, record.usage.output_tokens) == (Outcome.ABORTED, num_events)
        assert bench.billing.books.available_nano("org_a") == 10**6 - 5 * 2 - num_events * 3
        assert is_settled(bench)


class Ahead(ScriptedGeneration):
    """Has told a token, and generated seven more when its client leaves."""

    async def aclose(self):
        return 7


class HastyEngine(BrokenEngine):
    async def generate(self, request):
        return Ahead([Delta(0, "x", 1), Delta(0, "y", 1)])


@pytest.mark.parametrize(("nano", "num_charged"), [(10**6, 8), (5 * 2 + 3 * 3, 3)])
async def test_a3_what_was_generated_for_who_left_is_charged_as_far_as_it_was_held(nano, num_charged):
    bench = metered(nano, engine=HastyEngine(num_good=0))
    run = await bench.open(completion("hello", is_stream=True))
    await run.__anext__()
    await run.aclose()
    (record,) = bench.sink.records
    assert (record.usage.output_tokens, record.charge_nano) == (num_charged, 5 * 2 + num_charged * 3)
    assert bench.billing.books.available_nano("org_a") == nano - record.charge_nano


@pytest.mark.parametrize("outcome", [Outcome.CUT, Outcome.FAILED])
async def test_a18_what_was_not_delivered_is_not_charged_where_the_server_broke_off(outcome):
    bench = metered(10**6, engine=HastyEngine(num_good=0))
    run = await bench.open(completion("hello", is_stream=True))
    await run.__anext__()
    await run.aclose(outcome)
    assert bench.sink.records[0].usage.output_tokens == 1


async def test_a13_a_price_that_changes_meanwhile_is_not_the_request_s():
    bench = metered(10**6)
    run = await bench.open(completion("hello"))
    dear = Price(version="test:2", input_token_nano=1_000, output_token_nano=1_000)
    bench.serving._catalog._by_name["echo-1"] = make_snapshot(price=dear)
    async for _ in run:
        pass
    (record,) = bench.sink.records
    assert (record.price_version, record.charge_nano) == ("test:1", 25)


@pytest.mark.parametrize(("num_good", "charge"), [(0, 0), (1, 5 * 2 + 3), (3, 5 * 2 + 9)])
async def test_a18_a_failure_costs_what_was_delivered_before_it(num_good, charge):
    bench = metered(10**6, engine=BrokenEngine(num_good))
    run = await bench.open(completion("hello", is_stream=True))
    with pytest.raises(EngineFailed):
        async for _ in run:
            pass
    await run.aclose()
    assert [record.charge_nano for record in bench.sink.records] == [charge]
    assert bench.billing.books.available_nano("org_a") == 10**6 - charge
    assert is_settled(bench)


class LyingEngine(BrokenEngine):
    """Says three tokens, then that it was another number of them."""

    def __init__(self, claimed):
        super().__init__(num_good=3)
        self._claimed = claimed

    async def generate(self, request):
        deltas = [Delta(0, "x", 1) for _ in range(3)]
        return ScriptedGeneration([*deltas, SequenceFinished(0, FinishReason.STOP), Finished(self._claimed)])


@pytest.mark.parametrize(
    "claimed",
    [
        Usage(input_tokens=10, output_tokens=6),
        Usage(),
        Usage(input_tokens=-5, output_tokens=-3, cached_tokens=-4),
        Usage(input_tokens=10**9, output_tokens=10**9),
    ],
)
async def test_a11_what_an_engine_says_of_its_usage_is_not_what_is_charged(claimed):
    bench = metered(10**6, engine=LyingEngine(claimed))
    await bench.run(completion("hello"))
    assert [record.charge_nano for record in bench.sink.records] == [5 * 2 + 3 * 3]


@pytest.mark.parametrize(
    ("claimed", "is_told"), [(0, True), (1, True), (2, False), (3, False), (4, False), (5, True), (-3, True)]
)
async def test_a11_a_count_that_is_off_by_more_than_a_token_is_told_and_stands_on_the_record(claimed, is_told, caplog):
    bench = metered(10**6, engine=LyingEngine(Usage(input_tokens=5, output_tokens=claimed)))
    await bench.run(completion("hello"))
    (record,) = bench.sink.records
    told = [line for line in caplog.records if line.message == "engine_usage_disputed"]
    assert [(line.num_counted, line.num_charged) for line in told] == ([(claimed, 3)] if is_told else [])
    assert record.doubt is (Doubt.DISPUTED if is_told else None)
    assert record.usage.output_tokens == 3


async def test_a11_more_cached_tokens_than_the_prompt_has_are_not_believed():
    bench = metered(10**6, engine=LyingEngine(Usage(cached_tokens=10**9)))
    await bench.run(completion("hello"))
    assert [record.charge_nano for record in bench.sink.records] == [5 * 1 + 3 * 3]


class CachingEngine(BrokenEngine):
    """Finds `num_cached` tokens of a prompt's first round in its cache, and of each further one all five."""

    def __init__(self, num_cached):
        super().__init__(num_good=0)
        self._num_cached = num_cached
        self.num_rounds = 0

    async def generate(self, request):
        self.num_rounds += 1
        cached = self._num_cached if self.num_rounds == 1 else 5
        ends = [SequenceFinished(k, FinishReason.STOP) for k in range(request.num_sequences)]
        return ScriptedGeneration([*ends, Finished(Usage(input_tokens=5, cached_tokens=cached))])


@pytest.mark.parametrize("num_cached", [0, 4])
async def test_a11_what_the_first_round_of_a_prompt_read_is_not_cached_for_the_others(num_cached):
    engine = CachingEngine(num_cached)
    bench = metered(10**6, engine=engine)
    await bench.run(completion("hello", n=9))
    assert engine.num_rounds > 1
    (record,) = bench.sink.records
    assert (record.usage.input_tokens, record.usage.cached_tokens) == (5, num_cached)
    assert record.charge_nano == (5 - num_cached) * 2 + num_cached


async def test_a_request_that_finds_no_place_in_the_queue_holds_nothing():
    bench = metered(10**6, max_waiting=1)
    runs = [await bench.open(completion("a", n=4)) for _ in range(2)]
    with pytest.raises(Overloaded):
        await bench.open(completion("a"))
    for run in runs:
        await run.aclose()
    assert is_settled(bench)


async def test_a_run_that_was_never_iterated_holds_nothing_once_it_is_closed():
    bench = metered(10**6)
    run = await bench.open(chat("hello"))
    assert bench.billing.books.held_nano("org_a") > 0
    await run.aclose()
    assert bench.billing.books.available_nano("org_a") == 10**6
    assert is_settled(bench)


async def test_a_sink_that_fails_leaves_nothing_held():
    bench = metered(10**6)

    async def fail(hold, record):
        raise ConnectionError("the database is gone")

    bench.sink.settle = fail
    run = await bench.open(chat("hello"))
    with pytest.raises(ConnectionError):
        async for _ in run:
            pass
    assert is_settled(bench)


async def test_a8_nothing_is_held_after_a_thousand_requests_that_end_in_every_way():
    chance = random.Random(8)
    bench = metered(10**6, max_waiting=64)

    async def request():
        text, most = "a" * chance.randrange(1, 20), chance.choice([None, 3, 50])
        num_events, is_patient = chance.randrange(0, 12), chance.random() < 0.5
        try:
            run = await bench.open(completion(text, max_tokens=most, n=chance.randrange(1, 4)))
        except (RateLimited, Overloaded):
            return
        try:
            async for _ in run:
                num_events -= 1
                if num_events < 0 and not is_patient:
                    break
                await asyncio.sleep(0)
        finally:
            await run.aclose()

    for _ in range(50):
        await asyncio.gather(*(request() for _ in range(20)))
    charged = sum(record.charge_nano for record in bench.sink.records)
    assert len({record.outcome for record in bench.sink.records}) == 2
    assert bench.billing.books.available_nano("org_a") == 10**6 - charged
    assert is_settled(bench)
    assert bench.pool.num_free_slots == 4


async def test_what_runs_is_checkpointed_when_it_has_generated_since():
    bench = metered(10**6)
    run = await bench.open(completion("hello", is_stream=True))
    await bench.settlement.checkpoint()
    await run.__anext__()
    await run.__anext__()
    await bench.settlement.checkpoint()
    await bench.settlement.checkpoint()
    counts = [[record.usage.output_tokens for record in written] for written in bench.sink.checkpoints]
    assert counts == [[0], [2]]
    assert [record.charge_nano for record in bench.sink.checkpoints[-1]] == [5 * 2 + 2 * 3]
    await run.aclose()
    await bench.settlement.checkpoint()
    assert len(bench.sink.checkpoints) == 2
