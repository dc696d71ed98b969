"""The order of the waiting, checked on histories of pushes, pops and removals."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from parley.serving.scheduling.fair import FairQueue, Room, Tenant
from tests.builders_serving import tenant

A, B = tenant("a"), tenant("b")


def drain(queue: FairQueue[int]) -> list[int]:
    return [queue.pop(queue.head()[0]) for _ in range(len(queue))]


def test_one_project_is_served_in_order():
    queue: FairQueue[int] = FairQueue()
    for item in (1, 2, 3):
        queue.push(A, item)
    assert drain(queue) == [1, 2, 3]


def test_a_flood_delays_another_project_by_one_turn_only():
    queue: FairQueue[int] = FairQueue()
    for item in range(100):
        queue.push(tenant("flood", "org"), item)
    queue.push(tenant("other", "org"), 1_000)
    assert drain(queue)[:3] == [0, 1_000, 1]


def test_many_projects_of_one_organization_get_no_more_turns_than_one_project_of_another():
    queue: FairQueue[str] = FairQueue()
    for turn in range(2):
        for project in range(5):
            queue.push(tenant(f"p{project}", "many"), f"m{project}.{turn}")
    for turn in range(3):
        queue.push(tenant("only", "one"), f"o{turn}")
    assert drain(queue)[:8] == ["m0.0", "o0", "m1.0", "o1", "m2.0", "o2", "m3.0", "m4.0"]


def test_a_project_that_may_not_is_passed_over_and_keeps_its_turn():
    queue: FairQueue[int] = FairQueue()
    queue.push(A, 1)
    queue.push(B, 2)
    assert queue.head(lambda who, _: Room.PROJECT_IS_FULL if who == A else Room.THERE) == (B, 2)
    assert queue.head(lambda *_: Room.PROJECT_IS_FULL) is None
    assert queue.pop(B) == 2
    assert drain(queue) == [1]


def test_nobody_of_an_organization_passes_who_waits_for_its_room():
    queue: FairQueue[str] = FairQueue()
    queue.push(tenant("wide", "org"), "wide")
    queue.push(tenant("small", "org"), "small")
    queue.push(tenant("other", "another"), "other")

    def room(_who: Tenant, item: str) -> Room:
        return Room.ORGANIZATION_IS_FULL if item == "wide" else Room.THERE

    assert queue.head(room) == (tenant("other", "another"), "other")
    queue.pop(tenant("other", "another"))
    assert queue.head(room) is None
    assert drain(queue) == ["wide", "small"]


def test_who_is_given_more_at_a_time_has_its_turn_more_seldom():
    queue: FairQueue[str] = FairQueue()
    for number in range(20):
        queue.push(tenant("p", "wide"), f"w{number}")
        queue.push(tenant("p", "small"), f"s{number}")
    served = []
    for _ in range(10):
        who, item = queue.head()
        served.append(queue.pop(who, 4 if item.startswith("w") else 1))
    assert served == ["w0", "s0", "s1", "s2", "s3", "w1", "s4", "s5", "s6", "s7"]


def test_a_project_that_is_given_more_at_a_time_has_its_turn_more_seldom_in_its_organization():
    queue: FairQueue[str] = FairQueue()
    for number in range(20):
        queue.push(tenant("wide", "org"), f"w{number}")
        queue.push(tenant("small", "org"), f"s{number}")
    served = []
    for _ in range(10):
        who, item = queue.head()
        served.append(queue.pop(who, 4 if item.startswith("w") else 1))
    assert served == ["w0", "s0", "s1", "s2", "s3", "w1", "s4", "s5", "s6", "s7"]


def test_who_comes_new_passes_nobody_because_one_that_was_passed_over_was_served_late():
    queue: FairQueue[str] = FairQueue()
    queue.push(tenant("p", "late"), "late")
    for number in range(3):
        queue.push(tenant("p", "busy"), f"b{number}")
    # While there was no room for the first one the other was served.
    for _ in range(2):
        queue.pop(tenant("p", "busy"), 4)
    assert queue.pop(tenant("p", "late")) == "late"
    queue.push(tenant("p", "late"), "again")
    queue.push(tenant("p", "new"), "new")
    assert drain(queue) == ["again", "new", "b2"]


def test_who_leaves_and_comes_again_is_not_forgiven_what_it_was_given():
    queue: FairQueue[str] = FairQueue()
    queue.push(A, "wide")
    for number in range(6):
        queue.push(B, f"s{number}")
    assert queue.pop(A, 4) == "wide"
    queue.push(A, "again")
    assert drain(queue) == ["s0", "s1", "s2", "s3", "again", "s4", "s5"]


def test_nobody_saves_up_turns_by_staying_away():
    queue: FairQueue[str] = FairQueue()
    for number in range(100):
        queue.push(A, f"a{number}")
    for _ in range(90):
        queue.pop(A, 3)
    for number in range(3):
        queue.push(B, f"b{number}")
    assert [queue.pop(queue.head()[0]) for _ in range(4)] == ["b0", "b1", "b2", "a90"]


def test_removing_from_the_middle_keeps_the_order():
    queue: FairQueue[int] = FairQueue()
    for item in (1, 2, 3):
        queue.push(A, item)
    queue.remove(A, 2)
    queue.remove(A, 2)
    queue.remove(tenant("unknown"), 1)
    queue.remove(tenant("unknown", A.organization_id), 1)
    assert (len(queue), queue.num_of(A), queue.num_of_organization(A.organization_id)) == (2, 2, 2)
    assert drain(queue) == [1, 3]
    assert (len(queue), queue.num_of(A), queue.num_of_organization(A.organization_id)) == (0, 0, 0)


TENANTS = [tenant(project, organization) for organization in "xy" for project in "ab"]


@given(st.lists(st.tuples(st.sampled_from(TENANTS), st.booleans())))
def test_nothing_is_lost_and_each_project_keeps_its_order(history):
    queue: FairQueue[int] = FairQueue()
    model: dict[Tenant, deque[int]] = {each: deque() for each in TENANTS}
    for item, (owner, is_push) in enumerate(history):
        if is_push:
            queue.push(owner, item)
            model[owner].append(item)
        elif len(queue):
            first, head = queue.head()
            assert queue.pop(first) == head == model[first].popleft()
        assert queue.num_of(owner) == len(model[owner])
    left = sorted(item for items in model.values() for item in items)
    assert len(queue) == len(left)
    assert sorted(drain(queue)) == left
