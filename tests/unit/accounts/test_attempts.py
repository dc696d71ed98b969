"""How often somebody may try, and who is forgotten where many do."""

import pytest

from parley.core.clock import FakeClock
from parley.core.errors import RateLimited
from parley.domain.accounts.attempts import Attempts


def attempts(clock: FakeClock | None = None) -> Attempts:
    """Three an hour, of ten subjects."""
    return Attempts(clock or FakeClock(), most=3, window_seconds=3_600.0, max_subjects=10)


def is_refused(tries: Attempts, subject: str) -> bool:
    try:
        tries.count(subject)
    except RateLimited:
        return True
    return False


def test_so_many_tries_are_let_through_and_more_come_back_evenly() -> None:
    clock = FakeClock()
    tries = attempts(clock)
    assert [is_refused(tries, "ada") for _ in range(4)] == [False, False, False, True]
    with pytest.raises(RateLimited) as refused:
        tries.count("ada")
    assert refused.value.retry_after_seconds == 1_200.0
    clock.advance(1_200.0)
    assert [is_refused(tries, "ada") for _ in range(2)] == [False, True]
    assert not is_refused(tries, "bob")


def test_who_keeps_trying_is_not_forgotten_however_many_others_come() -> None:
    tries = attempts()
    for _ in range(3):
        tries.count("ada")
    for number in range(100):
        tries.count(f"other {number}")
        assert is_refused(tries, "ada")


def test_who_tried_longest_ago_is_forgotten_first() -> None:
    tries = attempts()
    for name in ("ada", "bob"):
        for _ in range(3):
            tries.count(name)
    for number in range(9):
        tries.count(f"other {number}")
    assert [is_refused(tries, name) for name in ("bob", "ada")] == [True, False]


def test_who_has_shown_that_they_may_starts_over() -> None:
    tries = attempts()
    for _ in range(3):
        tries.count("ada")
    tries.forget("ada")
    tries.forget("nobody")
    assert not is_refused(tries, "ada")
