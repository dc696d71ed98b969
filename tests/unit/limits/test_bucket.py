"""The token bucket is exact: over any stretch of time it lets in its capacity and what was refilled, not one more or less."""

from hypothesis import given
from hypothesis import strategies as st

from parley.core.bucket import Bucket

NANO = 1_000_000_000
steps = st.lists(st.tuples(st.integers(0, 5 * NANO), st.integers(1, 40)), max_size=200)


@given(capacity=st.integers(1, 1_000_000), window=st.integers(1, 86_400), steps=steps)
def test_e4_what_is_let_in_is_what_exact_arithmetic_lets_in(capacity, window, steps) -> None:
    bucket = Bucket.full(capacity, window, 0.0)
    # In units of 1 / (window in nanoseconds), as whole numbers: nothing is rounded.
    there, most = capacity * window * NANO, capacity * window * NANO
    now_ns = 0
    for pause_ns, amount in steps:
        now_ns += pause_ns
        there = min(most, there + (int(now_ns / NANO * NANO) - bucket.filled_ns) * capacity)
        bucket.refill(now_ns / NANO)
        assert bucket.has(amount) is (there >= amount * window * NANO)
        if bucket.has(amount):
            bucket.take(amount)
            there -= amount * window * NANO


def test_e4_a_thousand_requests_a_second_against_six_hundred_a_minute() -> None:
    bucket = Bucket.full(600, 60, 0.0)
    admitted = 0
    for millisecond in range(60_000):
        bucket.refill(millisecond / 1000)
        if bucket.has(1):
            bucket.take(1)
            admitted += 1
    # What was there at first, and ten a second for 59.999 s.
    assert admitted == 600 + 599


def test_who_waits_as_long_as_was_said_is_let_in_and_not_before() -> None:
    bucket = Bucket.full(20, 60, 100.0)
    bucket.take(20)
    wait = bucket.seconds_until(1)
    assert wait == 3.0
    bucket.refill(100.0 + wait - 0.001)
    assert not bucket.has(1)
    bucket.refill(100.0 + wait)
    assert bucket.has(1)


def test_what_is_given_back_does_not_run_over_and_what_is_owed_is_paid_first() -> None:
    bucket = Bucket.full(100, 60, 0.0)
    bucket.take(-50)
    assert bucket.level == 100
    bucket.take(160)
    assert bucket.level == 0
    assert bucket.seconds_until(1) == 36.6


def test_e5_a_time_that_lies_behind_gives_nothing() -> None:
    bucket = Bucket.full(10, 60, 1_000.0)
    bucket.take(10)
    bucket.refill(0.0)
    assert bucket.level == 0
    bucket.refill(1_006.0)
    assert bucket.level == 1


def test_e5_a_time_that_lies_behind_takes_nothing_away() -> None:
    bucket = Bucket.full(10, 60, 1_000.0)
    bucket.take(5)
    bucket.refill(0.0)
    assert bucket.level == 5
    bucket.refill(1_006.0)
    assert bucket.level == 6


def test_a_bucket_that_is_resized_is_as_full_as_it_was() -> None:
    bucket = Bucket.full(1_000, 60, 0.0)
    bucket.take(100)
    bucket.resize(100_000)
    assert bucket.level == 90_000
    bucket.resize(10)
    assert bucket.level == 9
    bucket.take(18)
    bucket.resize(100)
    assert bucket.seconds_until(0) == 54.0
    bucket.resize(0)
    bucket.resize(50)
    assert bucket.level == 0


def test_what_was_taken_before_a_resize_comes_back_in_proportion() -> None:
    bucket = Bucket.full(1_000, 60, 0.0)
    bucket.take(500)
    bucket.resize(100)
    bucket.correct(-500, taken_of=1_000)
    assert bucket.level == 100
    bucket.correct(40, taken_of=100)
    assert bucket.level == 60
    bucket.resize(0)
    bucket.correct(-1_000, taken_of=1_000)
    assert bucket.level == 0


def test_what_was_used_beyond_what_was_taken_is_no_more_in_a_bucket_that_grew() -> None:
    bucket = Bucket.full(1_000, 60, 0.0)
    bucket.take(500)
    bucket.resize(1_000_000)
    bucket.correct(4_000, taken_of=1_000)
    assert bucket.level == 496_000
    bucket.resize(1_000)
    bucket.correct(4_000, taken_of=1_000_000)
    assert bucket.level == 492
