"""Row C13: a replica is ready when it generated a token in the last seconds, or does when it is asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from parley.core.clock import FakeClock
from parley.core.errors import EngineDied
from parley.core.events import Delta, Finished
from parley.core.requests import SequenceRequest
from parley.core.usage import Usage
from parley.serving.scheduling.pool import Pool, PoolPlan
from parley.serving.scheduling.probing import ProbeRules, Probes
from tests.builders_serving import tenant


class Mute:
    """An engine that answers when the test lets it, or dies."""

    num_slots = 1

    def __init__(self, *, is_free: bool = True) -> None:
        self.asked: list[SequenceRequest] = []
        self.may_answer = asyncio.Event()
        self.is_dying = False
        if is_free:
            self.may_answer.set()

    async def generate(self, request: SequenceRequest) -> AsyncIterator[Delta | Finished]:
        self.asked.append(request)
        return self._events()

    async def _events(self) -> AsyncIterator[Delta | Finished]:
        await self.may_answer.wait()
        if self.is_dying:
            raise EngineDied("it died")
        yield Delta(0, "x", 1)
        yield Finished(Usage(input_tokens=1, output_tokens=1))


class House:
    """One pool and the probes of it; a probe that is not answered at once is not waited for."""

    def __init__(self, engine: Mute) -> None:
        self.clock = FakeClock()
        self.engine = engine
        self.probes = Probes(self.clock, ProbeRules(patience=0.0))
        self.pool = Pool(PoolPlan(name="alpha", num_slots=1, max_waiting=9, load=self._load), self.clock)

    async def _load(self) -> Mute:
        return self.engine

    async def is_ready(self) -> bool:
        asked = await self.probes.generates("alpha", self.pool)
        # What was not answered within no time at all may be answered now.
        for _ in range(5):
            await asyncio.sleep(0)
        return asked

    async def says(self, *, soon: bool) -> bool:
        """Whether it comes to say so."""
        for _ in range(5):
            if await self.is_ready() is soon:
                return True
        return False


@pytest.fixture
async def house() -> AsyncIterator[House]:
    built = House(Mute())
    async with aclosing(built.probes):
        yield built


async def test_what_is_not_in_memory_is_not_asked(house):
    assert await house.is_ready()
    assert house.engine.asked == []


async def test_a_token_proves_it_for_ten_seconds(house):
    await house.pool.load()
    assert await house.says(soon=True)
    house.clock.advance(9.9)
    assert await house.is_ready()
    assert len(house.engine.asked) == 1
    house.clock.advance(0.2)
    assert await house.says(soon=True)
    assert len(house.engine.asked) == 2
    assert house.engine.asked[0].max_tokens == 1


async def test_one_that_says_nothing_is_not_ready_and_is_asked_once(house):
    house.engine.may_answer.clear()
    await house.pool.load()
    assert [await house.is_ready() for _ in range(9)] == [False] * 9
    assert len(house.engine.asked) == 1
    house.engine.may_answer.set()
    assert await house.says(soon=True)


async def test_a_proof_that_is_too_old_counts_no_more(house):
    await house.pool.load()
    assert await house.says(soon=True)
    house.engine.may_answer.clear()
    house.clock.advance(11)
    assert not await house.is_ready()


async def test_one_that_dies_is_not_ready_and_is_asked_again_after_a_second(house):
    house.engine.is_dying = True
    await house.pool.load()
    assert await house.says(soon=False)
    assert not await house.is_ready()
    assert len(house.engine.asked) == 1
    house.engine.is_dying = False
    house.clock.advance(1.1)
    assert await house.says(soon=True)


async def test_a_probe_takes_no_slot_from_anybody_and_leaves_no_trace(house):
    await house.pool.load()
    used = house.pool.last_used
    house.clock.advance(5)
    assert await house.says(soon=True)
    assert (house.pool.num_free_slots, house.pool.last_used) == (1, used)
    ticket = house.pool.enqueue(tenant("proj"), 1)
    house.clock.advance(11)
    assert await house.says(soon=True)
    assert len(house.engine.asked) == 1
    ticket.release()


async def test_a_request_that_comes_meanwhile_gets_the_slot_behind_the_probe(house):
    house.engine.may_answer.clear()
    await house.pool.load()
    assert not await house.is_ready()
    ticket = house.pool.enqueue(tenant("proj"), 1)
    assert not ticket.granted.is_set()
    house.engine.may_answer.set()
    await ticket.granted.wait()
    ticket.release()


async def test_another_engine_in_its_place_answers_for_itself(house):
    await house.pool.load()
    assert await house.says(soon=True)
    house.pool.take_engine()
    house.engine = Mute(is_free=False)
    await house.pool.load()
    assert not await house.is_ready()


async def test_an_engine_that_is_put_out_under_its_probe_proves_nothing(house):
    house.engine.may_answer.clear()
    await house.pool.load()
    assert not await house.is_ready()
    house.engine.is_dying = True
    house.pool.take_engine()
    house.engine.may_answer.set()
    assert await house.says(soon=True)
