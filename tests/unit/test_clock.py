"""Steadiness: the wall clock is believed once it has gone along with the monotonic one for ten minutes."""

import pytest

from parley.core.clock import FakeClock, Steadiness


def test_a_clock_is_steady_after_ten_minutes():
    clock = FakeClock()
    steadiness = Steadiness(clock)
    assert not steadiness.is_steady()
    clock.advance(599)
    assert not steadiness.is_steady()
    clock.advance(1)
    assert steadiness.is_steady()


@pytest.mark.parametrize("seconds", [61, -61, 40 * 86_400, -40 * 86_400])
def test_a_jump_begins_the_ten_minutes_anew(seconds):
    clock = FakeClock()
    steadiness = Steadiness(clock)
    clock.advance(600)
    clock.set_back(-seconds)
    assert not steadiness.is_steady()
    clock.advance(599)
    assert not steadiness.is_steady()
    clock.advance(1)
    assert steadiness.is_steady()


@pytest.mark.parametrize("seconds", [59, -59])
def test_a_small_correction_is_none(seconds):
    clock = FakeClock()
    steadiness = Steadiness(clock)
    clock.advance(600)
    clock.set_back(seconds)
    assert steadiness.is_steady()


def test_a_look_tells_of_each_jump_once_and_which_way():
    clock = FakeClock()
    steadiness = Steadiness(clock)
    clock.set_back(100)
    assert steadiness.look() == -100
    assert steadiness.look() == 0
    clock.advance(86_400)
    assert steadiness.look() == 0
    clock.set_back(-300)
    assert steadiness.look() == 300
