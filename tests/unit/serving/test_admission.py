"""Limits first, then money, for a request that grows too; and what was taken is given back, once, where no Run comes of it."""

import asyncio
from dataclasses import replace

import pytest

from parley.core.clock import FakeClock
from parley.core.errors import Overloaded, RateLimited
from parley.core.events import FinishReason, SequenceFinished
from parley.core.limits import Level, Levels, LimitNeed, Limits
from parley.core.price import Price
from parley.core.principal import Principal
from parley.domain.limits.counters import ProcessCounters
from parley.domain.limits.service import RateLimits
from tests.builders_serving import ECHO_WEIGHTS, Bench, completion, make_bench, make_principal, make_snapshot

PRICE = Price(version="test:1", input_token_nano=1, output_token_nano=1)
LEVELS = Levels(requests=Level(limit=20, remaining=19, reset_seconds=3.0))


class FakeRates:
    """Rates, and the only permit that they give."""

    levels = LEVELS

    def __init__(self, *, refusal: RateLimited | None = None) -> None:
        self._refusal = refusal
        self.needs: list[LimitNeed] = []
        self.closed: list[int] = []
        self.num_cancelled = 0

    def admit(self, principal: Principal, *, model: str, family: str, need: LimitNeed) -> "FakeRates":
        if self._refusal is not None:
            raise self._refusal
        self.needs.append(need)
        return self

    def extend(self, num_tokens: int) -> int:
        return num_tokens

    def give_back(self, num_tokens: int) -> None:
        pass

    def close(self, num_tokens: int = 0, *, audio_minutes: int = 0) -> None:
        self.closed.append(num_tokens)

    def cancel(self) -> None:
        self.num_cancelled += 1


def bench_with(rates: FakeRates, **changes: object) -> Bench:
    return make_bench(rates=rates, snapshots=(make_snapshot(price=PRICE),), **changes)


async def test_a_hold_that_is_refused_gives_the_limits_everything_back_and_tells_how_they_stand() -> None:
    rates = FakeRates()
    bench = bench_with(rates, is_metered=True)
    with pytest.raises(RateLimited) as refused:
        await bench.open(completion("abcd", max_tokens=4))
    assert refused.value.kind == "insufficient_quota"
    assert refused.value.levels is LEVELS
    assert (rates.num_cancelled, rates.closed) == (1, [])


async def test_a_limit_is_told_before_money_and_holds_none() -> None:
    limit = RateLimited("too many", kind="requests", code="rate_limit_exceeded", retry_after_seconds=1.0)
    bench = bench_with(FakeRates(refusal=limit), is_metered=True)
    with pytest.raises(RateLimited) as refused:
        await bench.open(completion("abcd", max_tokens=4))
    assert refused.value is limit
    assert not bench.billing.books.holds


async def test_where_the_queue_is_full_the_hold_and_the_permit_are_given_back() -> None:
    rates = FakeRates()
    bench = bench_with(rates, max_waiting=0)
    running = [await bench.open(completion("abcd", max_tokens=4)) for _ in range(4)]
    with pytest.raises(Overloaded) as refused:
        await bench.open(completion("abcd", max_tokens=4))
    assert refused.value.levels is LEVELS
    assert (rates.num_cancelled, rates.closed) == (1, [])
    assert len(bench.billing.books.holds) == 4
    for run in running:
        await run.aclose()
    assert not bench.billing.books.holds
    assert (rates.num_cancelled, len(rates.closed)) == (1, 4)


async def test_limits_and_hold_are_about_the_same_tokens() -> None:
    rates = FakeRates()
    bench = bench_with(rates)
    run = await bench.open(completion("abcd", "ef", n=2))
    assert rates.needs == [LimitNeed(tokens=6 + run.grant.hold.num_output_tokens)]
    assert run.grant.levels is LEVELS
    async for _ in run:
        pass
    assert rates.closed == [bench.sink.records[0].usage.input_tokens + bench.sink.records[0].usage.output_tokens]


def limited_bench(**limits: int) -> tuple[Bench, RateLimits]:
    """On the echo engine with a long context, under these limits of the project on its model."""
    rates = RateLimits(ProcessCounters(), FakeClock())
    rates._of_projects["proj_a", "echo-1"] = Limits(**limits)
    weights = replace(ECHO_WEIGHTS, context_length=8_000)
    bench = make_bench(rates=rates, snapshots=(make_snapshot(weights=weights, context=8_000, price=PRICE),))
    return bench, rates


def tokens_left(rates: RateLimits) -> int:
    level = rates.standing(make_principal(), model="echo-1", family="echo").tokens
    assert level is not None
    return level.remaining


# Forced to repeat one token, the engine goes on to the end of the context, or of what is allowed.
ENDLESS = {98: 100}


@pytest.mark.parametrize("name", ["tokens_per_minute", "tokens_per_day"])
@pytest.mark.parametrize("num_choices", [1, 3])
async def test_a_reply_without_a_stated_maximum_ends_with_length_where_its_limit_does(
    name: str, num_choices: int
) -> None:
    bench, rates = limited_bench(**{name: 2_000})
    events = await bench.run(completion("a" * 100, n=num_choices, logit_bias=ENDLESS))
    ends = {event.sequence: event.finish_reason for event in events if isinstance(event, SequenceFinished)}
    assert ends == dict.fromkeys(range(num_choices), FinishReason.LENGTH)
    assert bench.sink.records[0].usage.output_tokens == 1_900
    assert tokens_left(rates) == 0


async def test_replies_that_grow_at_once_share_what_their_limit_has() -> None:
    bench, _ = limited_bench(tokens_per_minute=3_000)
    await asyncio.gather(*(bench.run(completion("aaaa", logit_bias=ENDLESS)) for _ in range(4)))
    assert sum(record.usage.input_tokens + record.usage.output_tokens for record in bench.sink.records) == 3_000


async def test_what_the_limit_has_and_the_budget_has_not_is_left_to_others() -> None:
    bench, rates = limited_bench(tokens_per_minute=10_000)
    bench.billing.books.set_budget("proj_a", 604)
    await bench.run(completion("aaaa", logit_bias=ENDLESS))
    assert bench.sink.records[0].usage.output_tokens == 600
    assert tokens_left(rates) == 10_000 - 604
