"""Requests for several slots at once beside requests for one, played out in ticks: nobody starves, nobody gets more for being wide."""

import random

import pytest

from parley.core.clock import FakeClock
from parley.serving.engines.echo import EchoEngine
from parley.serving.rounds import plan_rounds
from parley.serving.scheduling.fair import Tenant
from parley.serving.scheduling.pool import Pool, PoolPlan, Ticket

NUM_SLOTS = 8
NUM_TICKS = 4_000
A, SIBLING, B = Tenant("A", "one"), Tenant("A", "two"), Tenant("B", "one")


async def load() -> EchoEngine:
    return EchoEngine()


def make_pool() -> Pool:
    return Pool(PoolPlan(name="m", num_slots=NUM_SLOTS, max_waiting=256, load=load), FakeClock())


class Clients:
    """So many clients of a project, each with a request of `n` sequences, and another one as soon as it is answered."""

    def __init__(self, pool: Pool, who: Tenant, n: int, *, num: int, chance: random.Random) -> None:
        self.pool, self.who, self.n, self.chance = pool, who, n, chance
        self.num_slot_ticks = 0
        # Each client's tickets, with the ticks that each is to run yet.
        self.clients: list[dict[Ticket, int]] = [{} for _ in range(num)]
        self.tick()

    def ask(self, tickets: dict[Ticket, int]) -> None:
        for planned in plan_rounds(num_prompts=1, num_sequences=self.n, widest=self.pool.widest(self.who)):
            ticket = self.pool.enqueue(self.who, planned.num_sequences, is_continuation=True)
            tickets[ticket] = self.chance.randint(5, 15)

    def tick(self) -> None:
        for tickets in self.clients:
            for ticket in [each for each in tickets if each.granted.is_set()]:
                self.num_slot_ticks += ticket.num_slots
                tickets[ticket] -= 1
                if not tickets[ticket]:
                    del tickets[ticket]
                    ticket.release()
            if not tickets:
                self.ask(tickets)


def play(*everybody: Clients) -> None:
    for _ in range(NUM_TICKS):
        for clients in everybody:
            clients.tick()


@pytest.mark.parametrize("with_another", [False, True])
@pytest.mark.parametrize("num_slots", range(1, NUM_SLOTS + 1))
def test_a_wide_request_runs_beside_a_flood_of_its_own_organization(num_slots: int, with_another: bool) -> None:
    pool, chance = make_pool(), random.Random(num_slots)
    if with_another:
        pool.enqueue(B, 1).release()
    flood = Clients(pool, A, 1, num=20, chance=chance)
    wide = pool.enqueue(SIBLING, num_slots)
    behind = pool.enqueue(SIBLING, 1)
    ticks = 0
    while not wide.granted.is_set():
        flood.tick()
        ticks += 1
        # Whatever runs when it comes ends within fifteen ticks.
        assert ticks <= 30
    wide.release()
    assert behind.granted.is_set()


@pytest.mark.parametrize("n", [1, 2, 4, 7, 8])
def test_who_asks_for_many_at_a_time_gets_no_more_than_who_asks_for_one(n: int) -> None:
    pool, chance = make_pool(), random.Random(n)
    wide, small = (Clients(pool, who, width, num=24, chance=chance) for who, width in ((A, n), (B, 1)))
    play(wide, small)
    everything = NUM_SLOTS * NUM_TICKS
    assert 0.42 < wide.num_slot_ticks / everything < 0.56
    assert 0.42 < small.num_slot_ticks / everything < 0.56


@pytest.mark.parametrize("n", [1, 4, 8])
def test_a_little_of_another_organization_does_not_wait_for_a_flood_of_wide_requests(n: int) -> None:
    pool, chance = make_pool(), random.Random(n)
    flood = Clients(pool, A, n, num=16, chance=chance)
    small = Clients(pool, B, 1, num=1, chance=chance)
    play(flood, small)
    # Its first one waits for what runs when it comes, the others for no slot.
    assert small.num_slot_ticks >= 0.95 * NUM_TICKS
    assert flood.num_slot_ticks >= 0.8 * (NUM_SLOTS - 1) * NUM_TICKS


def test_alone_a_request_is_as_wide_as_the_pool_and_beside_neighbours_a_quarter_of_it() -> None:
    pool = make_pool()
    pool.enqueue(A, 1).release()
    assert pool.widest(A) == NUM_SLOTS
    pool.enqueue(SIBLING, 1).release()
    assert pool.widest(A) == 2
