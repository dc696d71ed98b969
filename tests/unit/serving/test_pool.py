"""Slots are never given twice, never lost, and the head of the queue is never passed."""

import asyncio

import pytest

from parley.core.clock import FakeClock
from parley.core.engine import Engine
from parley.core.errors import ModelLoadFailed, ModelUnavailable, Overloaded
from parley.core.residency import Residency
from parley.core.restarts import RestartPolicy
from parley.serving.engines.echo import EchoEngine
from parley.serving.scheduling.pool import Pool, PoolPlan
from tests.builders_serving import tenant


class Loads:
    """A loader that counts, waits for `gate`, and fails as often as it is told."""

    def __init__(self, *, num_failures: int = 0, is_death: bool = False) -> None:
        self.num = 0
        self.is_death = is_death
        self.num_failures = num_failures
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> Engine:
        self.num += 1
        await self.gate.wait()
        if self.num <= self.num_failures:
            raise ModelLoadFailed("no memory at /secret/path", is_death=self.is_death)
        return EchoEngine()


def make_pool(
    *,
    num_slots: int = 2,
    max_waiting: int = 10,
    load: Loads | None = None,
    clock: FakeClock | None = None,
    restarts: RestartPolicy | None = None,
) -> Pool:
    plan = PoolPlan(
        name="alpha",
        num_slots=num_slots,
        max_waiting=max_waiting,
        load=load or Loads(),
        restarts=restarts or RestartPolicy(),
    )
    return Pool(plan, clock or FakeClock())


def test_slots_are_granted_while_they_last():
    pool = make_pool()
    tickets = [pool.enqueue(tenant("a"), 1) for _ in range(3)]
    assert [ticket.granted.is_set() for ticket in tickets] == [True, True, False]
    tickets[0].release()
    assert tickets[2].granted.is_set()


def test_a_large_request_is_waited_for_and_not_passed():
    pool = make_pool()
    first = pool.enqueue(tenant("a"), 1)
    large = pool.enqueue(tenant("a"), 2)
    small = pool.enqueue(tenant("a"), 1)
    assert not large.granted.is_set()
    assert not small.granted.is_set()
    first.release()
    assert large.granted.is_set()
    assert not small.granted.is_set()


def test_releasing_twice_gives_back_once():
    pool = make_pool()
    ticket = pool.enqueue(tenant("a"), 1)
    ticket.release()
    ticket.release()
    assert pool.num_free_slots == 2


def test_leaving_the_queue_lets_the_next_one_up():
    pool = make_pool()
    held = pool.enqueue(tenant("a"), 1)
    large = pool.enqueue(tenant("a"), 2)
    small = pool.enqueue(tenant("a"), 1)
    large.release()
    assert small.granted.is_set()
    assert held.granted.is_set()


def test_a_full_queue_refuses_newcomers_but_not_continuations():
    pool = make_pool(max_waiting=1)
    for _ in range(3):
        pool.enqueue(tenant("a"), 1)
    with pytest.raises(Overloaded):
        pool.enqueue(tenant("a"), 1)
    assert not pool.enqueue(tenant("a"), 1, is_continuation=True).granted.is_set()


async def test_the_replica_is_loaded_once():
    pool = make_pool()
    assert pool.loaded_engine is None
    engine = await pool.engine()
    assert await pool.engine() is engine
    assert pool.loaded_engine is engine


async def test_all_who_wait_share_one_load():
    loads = Loads()
    pool = make_pool(load=loads)
    engines = await asyncio.gather(*(pool.engine() for _ in range(5)))
    assert loads.num == 1
    assert len({id(engine) for engine in engines}) == 1


async def test_a_load_goes_on_when_those_who_waited_have_gone():
    loads = Loads()
    loads.gate.clear()
    pool = make_pool(load=loads)
    waiting = asyncio.create_task(pool.engine())
    await asyncio.sleep(0)
    assert pool.residency is Residency.LOADING
    waiting.cancel()
    await asyncio.wait({waiting})
    loads.gate.set()
    await pool.engine()
    assert loads.num == 1


async def test_a_failed_load_is_told_to_all_who_wait_without_its_internals():
    pool = make_pool(load=Loads(num_failures=1))
    results = await asyncio.gather(*(pool.engine() for _ in range(3)), return_exceptions=True)
    assert {type(result) for result in results} == {ModelUnavailable}
    assert not any("secret" in str(result) for result in results)
    assert pool.loading_seconds is None


async def test_c4_a_failed_load_is_tried_again_when_its_pause_is_over_and_not_before():
    loads, clock = Loads(num_failures=1), FakeClock()
    pool = make_pool(load=loads, clock=clock)
    for _ in range(3):
        with pytest.raises(ModelUnavailable) as refused:
            await pool.engine()
        assert 0 < refused.value.retry_after_seconds <= 1.0
    assert loads.num == 1
    clock.advance(1.0)
    assert (await pool.engine()).num_slots == 32


async def test_c4_five_failed_loads_make_the_model_unavailable_for_five_minutes():
    loads, clock = Loads(num_failures=5), FakeClock()
    pool = make_pool(load=loads, clock=clock)
    for _ in range(299):
        with pytest.raises(ModelUnavailable):
            await pool.engine()
        clock.advance(1.0)
    assert loads.num == 5
    assert pool.residency is Residency.UNAVAILABLE
    clock.advance(300.0)
    await pool.engine()
    assert pool.residency is Residency.LOADED


async def test_a_load_that_came_through_makes_up_for_those_that_failed_before():
    clock = FakeClock()
    loads = Loads(num_failures=1)
    pool = make_pool(load=loads, clock=clock)
    with pytest.raises(ModelUnavailable):
        await pool.engine()
    clock.advance(1.0)
    await pool.engine()
    pool.take_engine()
    loads.num_failures = 3
    with pytest.raises(ModelUnavailable) as refused:
        await pool.engine()
    # The first pause, not the second.
    assert refused.value.retry_after_seconds == 1.0


async def test_an_operators_load_does_not_wait_for_the_pause():
    loads = Loads(num_failures=1)
    pool = make_pool(load=loads)
    with pytest.raises(ModelLoadFailed):
        await pool.load()
    await pool.load()
    assert loads.num == 2


def test_a_probe_takes_no_slot_that_a_request_waits_for():
    pool = make_pool()
    held, wide = pool.enqueue(tenant("a"), 1), pool.enqueue(tenant("b"), 2)
    with pool.spare_slot() as is_there:
        assert (is_there, pool.num_free_slots) == (False, 1)
        held.release()
        assert wide.granted.is_set()


def test_a_request_that_comes_while_a_probe_has_the_slot_gets_it_when_the_probe_ends():
    pool = make_pool(num_slots=1)
    with pool.spare_slot() as is_there:
        ticket = pool.enqueue(tenant("a"), 1)
        assert (is_there, ticket.granted.is_set()) == (True, False)
    assert ticket.granted.is_set()


def test_a_draining_pool_grants_nothing_until_it_resumes():
    pool = make_pool()
    held = pool.enqueue(tenant("a"), 1)
    pool.drain()
    waiting = pool.enqueue(tenant("a"), 1)
    held.release()
    assert not waiting.granted.is_set()
    assert (pool.is_running, pool.is_busy) == (False, True)
    pool.resume()
    assert waiting.granted.is_set()


AT_ONCE = RestartPolicy(first_pause_seconds=0.0, max_failures=3)


async def test_a_load_whose_worker_died_is_tried_once_more_for_all_who_wait():
    loads = Loads(num_failures=1, is_death=True)
    pool = make_pool(load=loads, restarts=AT_ONCE)
    engines = await asyncio.gather(*(pool.engine() for _ in range(5)))
    assert len(set(map(id, engines))) == 1
    assert loads.num == 2


async def test_a_load_whose_worker_dies_again_is_not_tried_a_third_time():
    loads = Loads(num_failures=99, is_death=True)
    pool = make_pool(load=loads, restarts=AT_ONCE)
    refusals = await asyncio.gather(*(pool.engine() for _ in range(5)), return_exceptions=True)
    assert [type(refusal) for refusal in refusals] == [ModelUnavailable] * 5
    assert loads.num == 2


async def test_a_load_that_is_given_up_with_its_death_is_not_waited_for():
    loads = Loads(num_failures=99, is_death=True)
    pool = make_pool(load=loads, restarts=RestartPolicy(first_pause_seconds=0.0, max_failures=1))
    with pytest.raises(ModelUnavailable):
        await pool.engine()
    assert loads.num == 1


async def test_a_load_that_fails_with_a_reason_is_not_tried_again():
    loads = Loads(num_failures=1)
    with pytest.raises(ModelUnavailable):
        await make_pool(load=loads, restarts=AT_ONCE).engine()
    assert loads.num == 1


async def test_an_operators_load_that_dies_is_told_at_once():
    loads = Loads(num_failures=1, is_death=True)
    with pytest.raises(ModelLoadFailed):
        await make_pool(load=loads, restarts=AT_ONCE).load()
    assert loads.num == 1
