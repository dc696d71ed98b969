"""Slots are never given twice, never lost, and the head of the queue is never passed."""

import pytest

from parley.core.engine import Engine
from parley.core.errors import EngineFailed, Overloaded
from parley.serving.engines.echo import EchoEngine
from parley.serving.scheduling.pool import Pool


def make_pool(*, num_slots: int = 2, max_waiting: int = 10) -> Pool:
    async def load() -> Engine:
        return EchoEngine(num_slots=num_slots)

    return Pool(load=load, num_slots=num_slots, max_waiting=max_waiting)


def test_slots_are_granted_while_they_last():
    pool = make_pool()
    tickets = [pool.enqueue("a", 1) for _ in range(3)]
    assert [ticket.granted.is_set() for ticket in tickets] == [True, True, False]
    tickets[0].release()
    assert tickets[2].granted.is_set()


def test_a_large_request_is_waited_for_and_not_passed():
    pool = make_pool()
    first = pool.enqueue("a", 1)
    large = pool.enqueue("a", 2)
    small = pool.enqueue("a", 1)
    assert not large.granted.is_set()
    assert not small.granted.is_set()
    first.release()
    assert large.granted.is_set()
    assert not small.granted.is_set()


def test_releasing_twice_gives_back_once():
    pool = make_pool()
    ticket = pool.enqueue("a", 1)
    ticket.release()
    ticket.release()
    assert pool.num_free_slots == 2


def test_leaving_the_queue_lets_the_next_one_up():
    pool = make_pool()
    held = pool.enqueue("a", 1)
    large = pool.enqueue("a", 2)
    small = pool.enqueue("a", 1)
    large.release()
    assert small.granted.is_set()
    assert held.granted.is_set()


def test_a_full_queue_refuses_newcomers_but_not_continuations():
    pool = make_pool(max_waiting=1)
    for _ in range(3):
        pool.enqueue("a", 1)
    with pytest.raises(Overloaded):
        pool.enqueue("b", 1)
    assert not pool.enqueue("a", 1, is_continuation=True).granted.is_set()


async def test_the_replica_is_loaded_once():
    pool = make_pool()
    assert not pool.is_loaded
    assert await pool.engine() is await pool.engine()
    assert pool.is_loaded


async def test_a_load_that_fails_is_tried_again_by_the_next_request():
    attempts = []

    async def load() -> Engine:
        attempts.append(1)
        if len(attempts) == 1:
            raise EngineFailed("no memory")
        return EchoEngine()

    pool = Pool(load=load, num_slots=2, max_waiting=1)
    with pytest.raises(EngineFailed):
        await pool.engine()
    assert (await pool.engine()).num_slots == 32
