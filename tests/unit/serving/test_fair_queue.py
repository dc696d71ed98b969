"""The order of the waiting, checked on histories of pushes, pops and removals."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from parley.serving.scheduling.fair import FairQueue


def drain(queue: FairQueue[int]) -> list[int]:
    return [queue.pop(queue.head()[0]) for _ in range(len(queue))]


def test_one_project_is_served_in_order():
    queue: FairQueue[int] = FairQueue()
    for item in (1, 2, 3):
        queue.push("a", item)
    assert drain(queue) == [1, 2, 3]


def test_a_flood_delays_another_project_by_one_turn_only():
    queue: FairQueue[int] = FairQueue()
    for item in range(100):
        queue.push("flood", item)
    queue.push("other", 1_000)
    assert drain(queue)[:3] == [0, 1_000, 1]


def test_a_project_that_may_not_is_passed_over_and_keeps_its_turn():
    queue: FairQueue[int] = FairQueue()
    queue.push("a", 1)
    queue.push("b", 2)
    assert queue.head(lambda project, _: project != "a") == ("b", 2)
    assert queue.head(lambda *_: False) is None
    assert queue.pop("b") == 2
    assert drain(queue) == [1]


def test_removing_from_the_middle_keeps_the_order():
    queue: FairQueue[int] = FairQueue()
    for item in (1, 2, 3):
        queue.push("a", item)
    queue.remove("a", 2)
    queue.remove("a", 2)
    queue.remove("unknown", 1)
    assert (len(queue), drain(queue)) == (2, [1, 3])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_nothing_is_lost_and_each_project_keeps_its_order(history):
    queue: FairQueue[int] = FairQueue()
    model: dict[str, deque[int]] = {project: deque() for project in "abc"}
    for item, (project, is_push) in enumerate(history):
        if is_push:
            queue.push(project, item)
            model[project].append(item)
        elif len(queue):
            owner, head = queue.head()
            assert queue.pop(owner) == head == model[owner].popleft()
    assert sorted(drain(queue)) == sorted(item for items in model.values() for item in items)
