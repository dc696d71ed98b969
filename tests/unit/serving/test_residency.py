"""Which weights make room: the idle before the busy, the longest unused first, the pinned never, nothing without need."""

from hypothesis import given
from hypothesis import strategies as st

from parley.serving.scheduling.residency import Resident, Room, idle_until, make_room


def resident(name, size=10, *, used=0.0, busy=False, pinned=False, keep_alive=None):
    return Resident(
        name=name,
        memory_bytes=size,
        last_used=used,
        is_busy=busy,
        is_pinned=pinned,
        keep_alive_seconds=keep_alive,
    )


def room(*residents, needed=10, budget=30):
    return make_room(residents, needed_bytes=needed, budget_bytes=budget)


def test_nothing_goes_while_there_is_room():
    assert room(resident("a"), resident("b")) == Room()


def test_the_least_recently_used_goes_first():
    assert room(resident("a", used=3.0), resident("b", used=1.0), resident("c", used=2.0)) == Room(evict=("b",))


def test_as_many_go_as_are_needed():
    found = room(resident("a", used=3.0), resident("b", used=1.0), resident("c", used=2.0), needed=20)
    assert found == Room(evict=("b", "c"))


def test_busy_ones_are_never_evicted_but_drained_and_only_after_the_idle():
    found = room(resident("a", used=1.0, busy=True), resident("b", used=2.0), resident("c", used=3.0, busy=True))
    assert found == Room(evict=("b",))
    found = room(resident("a", used=1.0, busy=True), resident("b", used=2.0), resident("c", busy=True), needed=20)
    assert found == Room(evict=("b",), drain=("c",))


def test_pinned_ones_stay():
    assert room(resident("a", pinned=True), resident("b", used=9.0), resident("c", used=8.0)) == Room(evict=("c",))
    assert room(resident("a", 30, pinned=True)) is None


def test_what_is_larger_than_the_budget_never_fits():
    assert room(needed=31) is None
    assert room(resident("a"), needed=31) is None


def test_a_small_one_is_not_put_out_in_vain_before_a_large_one():
    assert room(resident("small", 2, used=1.0), resident("large", 28, used=2.0)) == Room(evict=("large",))


RESIDENTS = st.lists(
    st.builds(
        Resident,
        name=st.uuids().map(str),
        memory_bytes=st.integers(0, 40),
        last_used=st.floats(0, 100),
        is_busy=st.booleans(),
        is_pinned=st.booleans(),
    ),
    max_size=8,
)


@given(RESIDENTS, st.integers(1, 60), st.integers(1, 100))
def test_what_is_decided_always_suffices_and_never_touches_the_pinned_or_ends_the_busy(residents, needed, budget):
    by_name = {each.name: each for each in residents}
    found = make_room(residents, needed_bytes=needed, budget_bytes=budget)
    if found is None:
        assert needed + sum(each.memory_bytes for each in residents if each.is_pinned) > budget
        return
    gone = {*found.evict, *found.drain}
    assert needed + sum(each.memory_bytes for each in residents if each.name not in gone) <= max(budget, needed)
    assert not any(by_name[name].is_pinned for name in gone)
    assert not any(by_name[name].is_busy for name in found.evict)
    for spared in gone:
        kept = [each for each in residents if each.name not in gone - {spared}]
        assert needed + sum(each.memory_bytes for each in kept) > budget


def test_an_idle_one_may_stay_as_long_as_its_keep_alive():
    assert idle_until(resident("a", used=5.0, keep_alive=60.0)) == 65.0
    assert idle_until(resident("a", used=5.0)) is None
    assert idle_until(resident("a", keep_alive=60.0, busy=True)) is None
    assert idle_until(resident("a", keep_alive=60.0, pinned=True)) is None
