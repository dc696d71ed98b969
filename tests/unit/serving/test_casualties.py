"""Who is to blame for an engine's death, who is run once more, and for how long a poison is remembered."""

import pytest

from parley.core.clock import FakeClock
from parley.core.errors import EngineDied
from parley.core.requests import Sampling
from parley.serving.scheduling.casualties import Casualties, Patient, Verdict, fingerprint, judge, suspected


def patient(name: str, **state: object) -> Patient:
    return Patient(round_id=name, identify=lambda: name, **state)


def verdicts(*present: Patient, named: frozenset[str] = frozenset()) -> dict[str, Verdict]:
    found = judge(present, suspected(present, named))
    return {each.round_id: verdict for each, verdict in found.items()}


def test_c3_the_one_that_the_engine_was_reading_is_guilty_and_the_others_run_again():
    found = verdicts(patient("poison"), patient("a", has_output=True), patient("b", has_output=True))
    assert found == {"poison": Verdict.GUILTY, "a": Verdict.AGAIN, "b": Verdict.AGAIN}


def test_c3_the_engines_own_word_is_believed():
    found = verdicts(patient("a"), patient("poison"), patient("b"), named=frozenset({"poison"}))
    assert found == {"a": Verdict.AGAIN, "poison": Verdict.GUILTY, "b": Verdict.AGAIN}


def test_several_suspects_run_again_one_by_one():
    found = verdicts(patient("a"), patient("b"), patient("c", has_output=True))
    assert found == {"a": Verdict.ALONE, "b": Verdict.ALONE, "c": Verdict.AGAIN}


def test_where_all_had_output_any_may_have_done_it():
    found = verdicts(patient("a", has_output=True), patient("b", has_output=True))
    assert found == {"a": Verdict.ALONE, "b": Verdict.ALONE}


def test_who_was_told_something_has_failed():
    found = verdicts(patient("poison"), patient("a", has_output=True, is_told=True))
    assert found == {"poison": Verdict.GUILTY, "a": Verdict.FAILED}


def test_nobody_is_run_a_third_time():
    found = verdicts(patient("poison"), patient("a", has_output=True, num_runs=2))
    assert found == {"poison": Verdict.GUILTY, "a": Verdict.FAILED}


def test_one_that_was_alone_is_guilty_even_when_it_was_told_something():
    assert verdicts(patient("a", has_output=True, is_told=True)) == {"a": Verdict.GUILTY}


def die(casualties: Casualties, *present: Patient, named: frozenset[str] = frozenset()) -> None:
    """An engine dies of these, each of which learns it by itself, in this order."""
    watches = [casualties.watched(each) for each in present]
    for watch in watches:
        watch.__enter__()
    for watch in watches:
        with pytest.raises(EngineDied):
            raise_through(watch, EngineDied("died", suspects=named))


def raise_through(watch, error: EngineDied) -> None:
    if not watch.__exit__(type(error), error, None):
        raise error


def test_all_are_judged_when_the_first_one_learns_it():
    casualties = Casualties(FakeClock())
    a, b = patient("a"), patient("b")
    die(casualties, a, b)
    # Judged by itself, each would have been alone, and guilty.
    assert (a.verdict, b.verdict) == (Verdict.ALONE, Verdict.ALONE)


def test_one_that_found_its_engine_dead_is_run_again_and_suspected_of_nothing():
    casualties = Casualties(FakeClock())
    late = patient("late")
    watch = casualties.watched(late)
    watch.__enter__()
    with pytest.raises(EngineDied):
        raise_through(watch, EngineDied("refused", has_reached=False))
    assert late.verdict is Verdict.AGAIN
    assert not casualties.is_watchful


def test_c3_the_guilty_one_is_quarantined_for_ten_minutes():
    clock = FakeClock()
    casualties = Casualties(clock)
    assert not casualties.is_watchful
    die(casualties, patient("poison"))
    clock.advance(599.0)
    assert casualties.is_quarantined("poison")
    assert not casualties.is_quarantined("innocent")
    clock.advance(1.0)
    assert not casualties.is_quarantined("poison")
    assert not casualties.is_watchful


def test_one_that_is_always_there_when_it_happens_is_quarantined_at_the_third_time():
    casualties = Casualties(FakeClock())
    for number in range(3):
        assert not casualties.is_quarantined("poison")
        die(casualties, patient("poison"), patient(f"innocent-{number}"))
    assert casualties.is_quarantined("poison")
    assert not any(casualties.is_quarantined(f"innocent-{number}") for number in range(3))


def test_one_death_is_one_suspicion_however_many_sent_the_same():
    casualties = Casualties(FakeClock())
    present = [patient("popular", has_output=True) for _ in range(5)]
    die(casualties, *present)
    assert not casualties.is_quarantined("popular")
    assert {each.verdict for each in present} == {Verdict.ALONE}


def test_one_that_is_served_in_between_is_suspected_of_nothing():
    casualties = Casualties(FakeClock())
    for number in range(6):
        die(casualties, patient("popular"), patient(f"other-{number}"))
        casualties.acquit(patient("popular"))
    assert not casualties.is_quarantined("popular")


def test_suspicions_of_long_ago_count_no_more():
    clock = FakeClock()
    casualties = Casualties(clock)
    for number in range(6):
        die(casualties, patient("a"), patient(f"other-{number}"))
        clock.advance(301.0)
    assert not casualties.is_quarantined("a")


def test_many_different_poisons_do_not_fill_the_memory():
    casualties = Casualties(FakeClock())
    for number in range(5000):
        die(casualties, patient(f"poison-{number}"))
    assert not casualties.is_quarantined("poison-0")
    assert casualties.is_quarantined("poison-4999")


def test_one_that_is_suspected_again_is_not_forgotten_for_many_that_were_suspected_since():
    casualties = Casualties(FakeClock())
    for number in range(3):
        die(casualties, patient("poison"), patient(f"with-{number}"))
        for other in range(1_500):
            die(casualties, patient(f"a-{number}-{other}"), patient(f"b-{number}-{other}"))
    assert casualties.is_quarantined("poison")


def test_a_fingerprint_tells_apart_what_an_engine_is_asked_for():
    same = fingerprint([1, 2], Sampling(), 5)
    assert fingerprint((1, 2), Sampling(), 5) == same
    others = [
        fingerprint([2, 1], Sampling(), 5),
        fingerprint([1, 2], Sampling(temperature=0.0), 5),
        fingerprint([1, 2], Sampling(logit_bias={3: 1.0}), 5),
        fingerprint([1, 2], Sampling(), 6),
    ]
    assert len({same, *others}) == 5
