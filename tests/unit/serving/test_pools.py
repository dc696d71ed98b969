"""Several models in one memory: loaded when asked for, put out when others need the room, never while they run."""

import asyncio
from collections.abc import Mapping

import pytest

from parley.core.clock import FakeClock
from parley.core.errors import Conflict, ModelLoadFailed, ModelUnavailable, Overloaded
from parley.core.residency import Residency
from parley.core.snapshot import EngineKind, Weights
from parley.serving.engines.echo import EchoEngine
from parley.serving.scheduling.pools import PoolRules, Pools
from tests.builders_serving import FakeLoader, tenant
from tests.builders_speech import SPHINX

A_MOMENT = 60.0


def weights(name: str, **options: int) -> Weights:
    return Weights(
        name=name,
        engine=EngineKind.ECHO,
        path=None,
        sha256=None,
        context_length=100,
        template="chatml",
        options=options,
    )


A, B, C = (weights(name) for name in "abc")


class House:
    """Pools over a fake loader, where each model takes 10 of a budget of 20 unless it is told otherwise."""

    def __init__(
        self, *, budget: int | None = 20, sizes: Mapping[str, int] | None = None, room_seconds: float = A_MOMENT
    ) -> None:
        self.clock = FakeClock()
        sizes = {"a": 10, "b": 10, "c": 10} | dict(sizes or {})
        self.loader = FakeLoader(lambda _: EchoEngine(num_slots=2), sizes=sizes)
        rules = PoolRules(max_waiting=99, memory_budget_bytes=budget, room_seconds=room_seconds)
        self.pools = Pools(loader=self.loader, rules=rules, clock=self.clock)

    async def use(self, *models: Weights) -> None:
        """A request on each, one after another, a second apart."""
        for model in models:
            ticket = self.pools.pool_for(model).enqueue(tenant("proj"), 1)
            await self.pools.pool_for(model).engine()
            ticket.release()
            self.clock.advance(1.0)

    def in_memory(self) -> set[str]:
        return {each.weights for each in self.pools.report().replicas if each.residency is Residency.LOADED}


async def test_each_model_is_loaded_at_its_first_use_and_stays():
    house = House()
    await house.use(A, B, A, B)
    assert house.loader.loaded == ["a", "b"]
    assert house.in_memory() == {"a", "b"}


async def test_the_least_recently_used_makes_room():
    house = House()
    await house.use(A, B, A, C)
    assert house.loader.unloaded == ["b"]
    assert house.in_memory() == {"a", "c"}


async def test_an_evicted_model_is_loaded_again_by_its_next_request():
    house = House()
    await house.use(A, B, C, A)
    assert house.loader.loaded == ["a", "b", "c", "a"]


async def test_without_a_budget_everything_stays():
    house = House(budget=None)
    await house.use(A, B, C)
    assert house.loader.unloaded == []


async def test_a_running_model_is_not_put_out_and_the_newcomer_waits_for_it():
    house = House(budget=10)
    running = house.pools.pool_for(A).enqueue(tenant("proj"), 1)
    await house.pools.pool_for(A).engine()
    newcomer = asyncio.create_task(house.pools.pool_for(B).engine())
    for _ in range(20):
        await asyncio.sleep(0)
    assert (house.loader.unloaded, newcomer.done()) == ([], False)
    # What comes to the running model now waits, or the newcomer might wait for ever.
    later = house.pools.pool_for(A).enqueue(tenant("proj"), 1)
    assert not later.granted.is_set()
    running.release()
    await asyncio.wait_for(newcomer, A_MOMENT)
    assert house.loader.unloaded == ["a"]
    assert later.granted.is_set()


async def test_two_models_that_fit_one_at_a_time_take_turns_and_nobody_starves():
    house = House(budget=10)
    served: list[str] = []

    async def request(model: Weights) -> None:
        pool = house.pools.pool_for(model)
        ticket = pool.enqueue(tenant("proj"), 1)
        await ticket.granted.wait()
        await pool.engine()
        await asyncio.sleep(0)
        served.append(model.name)
        ticket.release()

    async with asyncio.timeout(A_MOMENT):
        await asyncio.gather(*(request(model) for _ in range(30) for model in (A, B)))
    assert sorted(served) == ["a"] * 30 + ["b"] * 30
    assert len(house.in_memory()) == 1


async def test_a_newcomer_that_finds_no_room_in_time_is_told_to_come_back():
    house = House(budget=10, room_seconds=0.01)
    house.pools.pool_for(A).enqueue(tenant("proj"), 1)
    await house.pools.pool_for(A).engine()
    with pytest.raises(Overloaded, match="busy"):
        await house.pools.pool_for(B).engine()
    # And the running one grants its slots again.
    assert house.pools.pool_for(A).enqueue(tenant("proj"), 1).granted.is_set()


async def test_a_model_larger_than_the_budget_is_refused_with_the_setting_that_changes_it():
    house = House(sizes={"a": 30 << 20}, budget=20 << 20)
    with pytest.raises(ModelLoadFailed) as refused:
        await house.pools.pool_for(A).load()
    assert "30 MiB" in refused.value.detail
    assert "PARLEY_MEMORY_BUDGET_MIB" in refused.value.detail
    with pytest.raises(ModelUnavailable):
        await house.pools.pool_for(A).engine()
    assert house.loader.loaded == []


async def test_a_pinned_model_stays_whoever_comes():
    house, pinned = House(), weights("a", pinned=1)
    await house.use(pinned, B, C)
    assert house.loader.unloaded == ["b"]
    assert house.pools.status(pinned).is_pinned


async def test_a_load_that_fails_takes_no_room():
    house = House(budget=10)
    house.loader.failures = ["broken"]
    with pytest.raises(ModelUnavailable):
        await house.pools.pool_for(A).engine()
    assert house.pools.status(A).memory_bytes == 0
    assert not house.pools.holds(A)
    await house.use(B)
    assert house.in_memory() == {"b"}


async def test_a_model_that_loads_is_not_put_out_and_the_newcomer_waits_for_it():
    house = House(budget=10)
    house.loader.gate.clear()
    loading = asyncio.create_task(house.pools.pool_for(A).engine())
    for _ in range(20):
        await asyncio.sleep(0)
    newcomer = asyncio.create_task(house.pools.pool_for(B).engine())
    for _ in range(20):
        await asyncio.sleep(0)
    house.loader.gate.set()
    await asyncio.wait_for(asyncio.gather(loading, newcomer), A_MOMENT)
    assert (house.loader.loaded, house.loader.unloaded, house.in_memory()) == (["a", "b"], ["a"], {"b"})


async def test_a_model_begins_to_idle_when_it_is_there_however_long_its_load_took():
    house = House()
    house.loader.gate.clear()
    loading = asyncio.create_task(house.pools.pool_for(A).load())
    await asyncio.sleep(0)
    house.clock.advance(600.0)
    house.loader.gate.set()
    await loading
    await asyncio.sleep(0)
    assert house.pools.status(A).idle_seconds == 0.0


async def test_a_model_is_put_out_to_the_end_although_whoever_wanted_it_left():
    house = House()
    await house.use(A)
    house.loader.exit.clear()
    leaving = asyncio.create_task(house.pools.unload(A))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait({leaving})
    house.loader.exit.set()
    # Loaded again only behind the end of the one before.
    await house.use(A)
    assert (house.loader.unloaded, house.loader.loaded) == (["a"], ["a", "a"])


async def test_an_operator_can_unload_what_nobody_uses():
    house = House()
    await house.use(A)
    await house.pools.unload(A)
    assert (house.loader.unloaded, house.in_memory()) == (["a"], set())
    await house.pools.unload(A)
    assert house.loader.unloaded == ["a"]


async def test_what_is_being_put_out_counts_until_it_is_gone():
    house = House(budget=10)
    await house.use(A)
    house.loader.exit.clear()
    leaving = asyncio.create_task(house.pools.unload(A))
    await asyncio.sleep(0)
    newcomer = asyncio.create_task(house.pools.pool_for(B).engine())
    for _ in range(20):
        await asyncio.sleep(0)
    assert house.loader.loaded == ["a"]
    house.loader.exit.set()
    await asyncio.gather(leaving, newcomer)
    assert house.in_memory() == {"b"}


async def test_what_is_asked_for_while_it_is_being_put_out_is_loaded_after_its_end_and_counted():
    house = House()
    await house.use(A)
    house.loader.exit.clear()
    leaving = asyncio.create_task(house.pools.unload(A))
    await asyncio.sleep(0)
    again = asyncio.create_task(house.pools.pool_for(A).engine())
    for _ in range(20):
        await asyncio.sleep(0)
    assert house.loader.loaded == ["a"]
    house.loader.exit.set()
    await asyncio.gather(leaving, again)
    assert house.loader.loaded == ["a", "a"]
    assert house.pools.status(A).memory_bytes == 10


async def test_an_operator_cannot_unload_what_runs():
    house = House()
    house.pools.pool_for(A).enqueue(tenant("proj"), 1)
    await house.pools.pool_for(A).engine()
    with pytest.raises(Conflict, match="in use"):
        await house.pools.unload(A)
    assert house.in_memory() == {"a"}


async def test_an_operator_cannot_unload_what_loads():
    house = House()
    house.loader.gate.clear()
    loading = asyncio.create_task(house.pools.pool_for(A).load())
    await asyncio.sleep(0)
    with pytest.raises(Conflict):
        await house.pools.unload(A)
    house.loader.gate.set()
    await loading


async def test_a_model_that_has_idled_for_its_keep_alive_is_put_out():
    house = House()
    brief, long = weights("a", keep_alive_seconds=60), weights("b", keep_alive_seconds=3600)
    await house.use(brief, long)
    house.clock.advance(59.0)
    async with house.pools:
        async with asyncio.timeout(A_MOMENT):
            while house.loader.unloaded != ["a"]:
                await asyncio.sleep(0)
    assert house.in_memory() == {"b"}


async def test_a_model_that_runs_outstays_its_keep_alive():
    house, brief = House(), weights("a", keep_alive_seconds=60)
    running = house.pools.pool_for(brief).enqueue(tenant("proj"), 1)
    await house.pools.pool_for(brief).engine()
    house.clock.advance(1000.0)
    async with house.pools:
        for _ in range(10):
            await asyncio.sleep(0)
        assert house.in_memory() == {"a"}
        running.release()
        house.clock.advance(60.0)
        house.pools.pool_for(brief).enqueue(tenant("proj"), 1).release()
        house.clock.advance(60.0)
        house.pools.pool_for(B).enqueue(tenant("proj"), 1).release()
        async with asyncio.timeout(A_MOMENT):
            while house.loader.unloaded != ["a"]:
                await asyncio.sleep(0)


async def test_closing_ends_a_load_that_is_under_way():
    house = House()
    house.loader.gate.clear()
    async with house.pools:
        waiting = asyncio.create_task(house.pools.pool_for(A).engine())
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert house.in_memory() == set()


async def test_the_report_says_what_is_where():
    house = House()
    await house.use(A)
    house.pools.pool_for(B).enqueue(tenant("proj"), 1)
    a, b = house.pools.report().replicas
    assert (a.weights, a.residency, a.memory_bytes, a.idle_seconds) == ("a", Residency.LOADED, 10, 1.0)
    assert (b.weights, b.residency, b.memory_bytes, b.idle_seconds) == ("b", Residency.UNLOADED, 0, None)
    assert (b.num_slots, b.num_free_slots, b.num_waiting) == (2, 1, 0)
    assert house.pools.report().budget_bytes == 20


@pytest.mark.parametrize(("hears", "num_taken"), [(True, 7), (False, 8)])
async def test_recordings_alone_leave_a_slot_to_newcomers_of_other_organizations(hears: bool, num_taken: int):
    house = House()
    house.loader.num_slots = lambda _: 8
    pool = house.pools.any_pool_for(SPHINX if hears else A)
    for _ in range(9):
        pool.enqueue(tenant("flood", "org"), 1)
    assert pool.num_slots - pool.num_free_slots == num_taken
    assert pool.enqueue(tenant("new", "other"), 1).granted.is_set() is hears
