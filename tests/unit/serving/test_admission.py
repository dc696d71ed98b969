"""Limits first, then money; and what was taken is given back, once, where no Run comes of it."""

import pytest

from parley.core.errors import Overloaded, RateLimited
from parley.core.limits import Level, Levels, LimitNeed
from parley.core.price import Price
from parley.core.principal import Principal
from tests.builders_serving import Bench, completion, make_bench, make_snapshot

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
