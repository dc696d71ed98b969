"""Limits: what a request takes, what comes back, who is refused in which words, and whose limits are whose."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.clock import FakeClock
from parley.core.durations import duration
from parley.core.errors import RateLimited
from parley.core.limits import LimitNeed, Limits
from parley.core.principal import Principal, Scope
from parley.domain.limits.counters import ProcessCounters
from parley.domain.limits.service import Permit, RateLimits
from parley.domain.limits.tiers import DEFAULT_TIERS

METERED = Principal(
    organization_id="org-a", project_id="proj_a", key_id="key_a", scopes=frozenset({Scope.ALL}), is_metered=True
)
OPEN = replace(METERED, is_metered=False)


class Desk:
    """Rate limits on a clock that stands."""

    def __init__(self, *, max_buckets: int = 1000) -> None:
        self.clock = FakeClock()
        self.counters = ProcessCounters(max_buckets=max_buckets)
        self.rates = RateLimits(self.counters, self.clock)

    def admit(self, principal: Principal = METERED, *, model: str = "gpt-3.5-turbo-0301", tokens: int = 10) -> Permit:
        family = "gpt-4" if model.startswith("gpt-4") else "gpt-3.5-turbo"
        return self.rates.admit(principal, model=model, family=family, need=LimitNeed(tokens=tokens))

    def refusal(self, principal: Principal = METERED, **need: object) -> RateLimited:
        with pytest.raises(RateLimited) as caught:
            self.admit(principal, **need)
        return caught.value

    def num_admitted(self, principal: Principal, **need: object) -> int:
        num = 0
        while num < 5_000:
            try:
                self.admit(principal, **need)
            except RateLimited:
                return num
            num += 1
        return num


def limited(**limits: int) -> Principal:
    return replace(OPEN, limits=Limits(**limits))


def test_a_free_organization_may_twenty_requests_a_minute_of_each_model() -> None:
    desk = Desk()
    assert desk.num_admitted(METERED) == 20
    assert desk.num_admitted(METERED, model="davinci") == 20
    desk.clock.advance(3)
    assert desk.num_admitted(METERED) == 1


@pytest.mark.parametrize(
    ("tier", "model", "requests", "tokens"),
    [
        ("free", "gpt-3.5-turbo-0301", 20, 40_000),
        ("paid_new", "gpt-3.5-turbo-0301", 60, 60_000),
        ("paid", "gpt-3.5-turbo-0301", 3_500, 90_000),
        ("paid", "gpt-4-0314", 200, 40_000),
        ("free", "gpt-4-0314", 20, 40_000),
    ],
)
def test_each_tier_has_its_limits(tier: str, model: str, requests: int, tokens: int) -> None:
    desk = Desk()
    desk.rates.set_tier("org-a", tier)
    levels = desk.admit(model=model, tokens=100).levels
    assert (levels.requests.limit, levels.requests.remaining) == (requests, requests - 1)
    assert (levels.tokens.limit, levels.tokens.remaining) == (tokens, tokens - 100)
    assert set(DEFAULT_TIERS) == {"free", "paid_new", "paid"}


def test_an_organization_whose_tier_is_gone_has_the_limits_of_the_free_one() -> None:
    desk = Desk()
    desk.rates.set_tier("org-a", "partner")
    assert desk.num_admitted(METERED) == 20


def test_keys_that_share_a_count_share_its_limits() -> None:
    desk, first = Desk(), limited(requests_per_minute=3)
    assert desk.num_admitted(first) == 3
    assert desk.num_admitted(replace(first, key_id="key_b", counted_as="key_a")) == 0
    assert desk.num_admitted(replace(first, key_id="key_c")) == 3


def test_the_open_organization_is_refused_nothing() -> None:
    desk = Desk()
    assert desk.num_admitted(OPEN, tokens=10**9) == 5_000
    assert desk.admit(OPEN).levels.requests is None


def test_what_a_key_or_project_was_given_of_its_own_counts_in_the_open_organization_too() -> None:
    desk = Desk()
    assert desk.num_admitted(limited(requests_per_minute=3)) == 3
    desk.rates._of_projects["proj_a", "davinci"] = Limits(requests_per_day=5)
    assert desk.num_admitted(OPEN, model="davinci") == 5
    assert desk.num_admitted(replace(OPEN, project_id="proj_b"), model="davinci") == 5_000


def test_the_tightest_of_several_limits_counts_and_a_refusal_takes_from_none() -> None:
    desk = Desk()
    principal = replace(METERED, limits=Limits(requests_per_minute=5))
    assert desk.num_admitted(principal) == 5
    # The organization's bucket lost five, not six: fifteen are left for another key.
    assert desk.num_admitted(replace(METERED, key_id="key_b")) == 15


def test_the_unused_part_of_the_worst_case_comes_back() -> None:
    desk = Desk()
    permit = desk.admit(tokens=30_000)
    assert desk.refusal(tokens=30_000).kind == "tokens"
    permit.close(1_000)
    permit.close(0)
    assert desk.admit(tokens=30_000).levels.tokens.remaining == 40_000 - 1_000 - 30_000


def test_what_was_used_beyond_the_first_block_is_taken_in_the_end() -> None:
    desk = Desk()
    desk.admit(tokens=1_000).close(50_000)
    assert desk.refusal(tokens=1).retry_after_seconds == pytest.approx((10_001) * 60 / 40_000)


def test_a_request_that_grows_takes_what_every_limit_has_left_and_no_more() -> None:
    desk = Desk()
    principal = replace(METERED, limits=Limits(tokens_per_day=1_000))
    permit = desk.admit(principal, tokens=600)
    # The organization has 39,400 left, the key 400.
    assert permit.extend(300) == 300
    assert permit.extend(300) == 100
    assert permit.extend(300) == 0
    assert desk.refusal(principal, tokens=1).kind == "tokens"
    permit.close(900)
    assert desk.admit(principal, tokens=100).levels.tokens.remaining == 0
    assert desk.admit(METERED, tokens=1).levels.tokens.remaining == 40_000 - 900 - 100 - 1


def test_a_growing_request_has_what_is_refilled_meanwhile() -> None:
    desk, principal = Desk(), limited(tokens_per_minute=600)
    permit = desk.admit(principal, tokens=600)
    assert permit.extend(512) == 0
    desk.clock.advance(3)
    assert permit.extend(512) == 30


def test_what_a_growing_request_took_and_does_not_want_comes_back() -> None:
    desk, principal = Desk(), limited(tokens_per_minute=1_000)
    permit = desk.admit(principal, tokens=100)
    assert permit.extend(512) == 512
    permit.give_back(500)
    assert desk.rates.standing(principal, model="m", family="m").tokens.remaining == 1_000 - 112
    permit.close(112)
    assert desk.rates.standing(principal, model="m", family="m").tokens.remaining == 1_000 - 112


def test_a_request_that_is_over_grows_no_more() -> None:
    desk, principal = Desk(), limited(tokens_per_minute=1_000)
    permit = desk.admit(principal, tokens=100)
    permit.close(100)
    assert permit.extend(512) == 0
    permit.give_back(100)
    assert desk.rates.standing(principal, model="m", family="m").tokens.remaining == 900


def test_where_nothing_limits_tokens_a_request_grows_as_it_likes() -> None:
    assert Desk().admit(OPEN).extend(10**9) == 10**9
    assert Desk().admit(limited(requests_per_minute=1)).extend(10**9) == 10**9


@pytest.mark.parametrize(("capacity", "most"), [(2_000, 900), (500, 900), (0, 0)])
def test_a_request_that_grows_under_a_changed_limit_counts_in_proportion(capacity: int, most: int) -> None:
    desk = Desk()
    permit = desk.admit(limited(tokens_per_minute=1_000), tokens=100)
    changed = limited(tokens_per_minute=capacity)
    desk.rates.standing(changed, model="m", family="m")
    assert permit.extend(10_000) == most
    assert desk.rates.standing(changed, model="m", family="m").tokens.remaining == 0
    permit.close(0)
    assert desk.rates.standing(changed, model="m", family="m").tokens.remaining == capacity


def test_e4_a_request_above_the_limit_is_told_that_waiting_does_not_help() -> None:
    refusal = Desk().refusal(tokens=40_001)
    assert refusal.message == (
        "Request too large for gpt-3.5-turbo-0301 in organization org-a on tokens per min (TPM): Limit 40000, "
        "Requested 40001. The input or output tokens must be reduced in order to run successfully."
    )
    assert (refusal.kind, refusal.code, refusal.retry_after_seconds) == ("tokens", "rate_limit_exceeded", None)


def test_a_recording_above_the_limit_is_not_told_of_tokens() -> None:
    desk, principal = Desk(), limited(audio_minutes_per_minute=10)
    with pytest.raises(RateLimited, match=r"Limit 10, Requested 11\. The recording must be reduced") as refusal:
        desk.rates.admit(principal, model="m", family="f", need=LimitNeed(audio_minutes=11))
    assert refusal.value.retry_after_seconds is None


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_day"])
def test_a_limit_of_nothing_is_not_told_to_reduce_something(name: str) -> None:
    with pytest.raises(RateLimited, match=r"Limit 0, Requested \d+\. Nothing is let through\.$") as refusal:
        Desk().rates.admit(limited(**{name: 0}), model="m", family="f", need=LimitNeed(tokens=5))
    assert refusal.value.retry_after_seconds is None


def test_a_refusal_says_limit_used_requested_and_when() -> None:
    desk = Desk()
    desk.num_admitted(METERED)
    refusal = desk.refusal()
    assert refusal.message == (
        "Rate limit reached for gpt-3.5-turbo-0301 in organization org-a on requests per min (RPM): Limit 20, Used 20, "
        "Requested 1. Please try again in 3s."
    )
    assert refusal.retry_after_seconds == 3
    assert refusal.levels.requests.remaining == 0
    assert refusal.levels.tokens.remaining == 40_000 - 200


@pytest.mark.parametrize(
    ("limits", "need", "words"),
    [
        ({"requests_per_day": 1}, {}, "requests per day (RPD)"),
        ({"tokens_per_day": 10}, {"tokens": 10}, "tokens per day (TPD)"),
        ({"images_per_minute": 2}, {"images": 2}, "images per minute"),
        ({"audio_minutes_per_minute": 7}, {"audio_minutes": 7}, "audio minutes per minute"),
    ],
)
def test_each_kind_of_limit_is_refused_by_its_name(limits: dict, need: dict, words: str) -> None:
    desk, principal = Desk(), limited(**limits)
    wanted = LimitNeed(**need)
    desk.rates.admit(principal, model="m", family="f", need=wanted)
    with pytest.raises(RateLimited, match=words.replace("(", r"\(").replace(")", r"\)")):
        desk.rates.admit(principal, model="m", family="f", need=wanted)


def test_requests_at_once_are_counted_until_they_are_closed() -> None:
    desk, principal = Desk(), limited(concurrent_requests=2, requests_per_minute=100, tokens_per_minute=1_000)
    first, second = desk.admit(principal), desk.admit(principal)
    refusal = desk.refusal(principal, tokens=500)
    assert "concurrent requests: Limit 2" in refusal.message
    first.close(0)
    first.close(0)
    third = desk.admit(principal)
    assert desk.refusal(principal).kind == "requests"
    for permit in (second, third):
        permit.close(0)
    assert desk.counters._places == {}
    # The tokens of the ones that were refused came back with them, and their places among the requests of the minute.
    assert refusal.levels.requests.remaining == 98
    assert desk.admit(principal, tokens=1_000).levels.requests.remaining == 96


def test_a_request_that_is_refused_for_another_reason_takes_nothing() -> None:
    desk = Desk()
    principal = limited(requests_per_minute=5, requests_per_day=5, tokens_per_minute=1_000, concurrent_requests=1)
    for _ in range(20):
        permit = desk.admit(principal, tokens=900)
        permit.cancel()
        permit.cancel()
        permit.close(900)
        assert (permit.levels.requests.remaining, permit.levels.tokens.remaining) == (5, 1_000)
    assert desk.counters._places == {}


def test_where_no_request_may_run_at_once_no_waiting_helps() -> None:
    assert Desk().refusal(limited(concurrent_requests=0)).retry_after_seconds is None
    desk, principal = Desk(), limited(concurrent_requests=1)
    desk.admit(principal)
    assert desk.refusal(principal).retry_after_seconds == 1.0


def test_a_limit_on_requests_at_once_alone_is_given_back_too() -> None:
    desk, principal = Desk(), limited(concurrent_requests=1)
    desk.admit(principal).close(0)
    desk.admit(principal).close(0)


def test_a_limit_of_nothing_lets_nothing_in() -> None:
    refusal = Desk().refusal(limited(requests_per_minute=0))
    assert refusal.retry_after_seconds is None


def test_a_changed_limit_counts_at_once() -> None:
    desk = Desk()
    assert desk.num_admitted(limited(requests_per_minute=5)) == 5
    assert desk.num_admitted(limited(requests_per_minute=2)) == 0
    desk.clock.advance(60)
    assert desk.num_admitted(limited(requests_per_minute=2)) == 2


def test_a_raised_limit_stays_raised_when_a_request_of_before_ends() -> None:
    desk = Desk()
    early = desk.admit(limited(tokens_per_minute=1_000), tokens=100)
    raised = limited(tokens_per_minute=100_000)
    desk.rates.standing(raised, model="m", family="m")
    desk.clock.advance(60)
    early.close(1)
    assert desk.rates.standing(raised, model="m", family="m").tokens.remaining == 100_000


@pytest.mark.parametrize("num_used", [0, 99, 500])
def test_a_lowered_limit_lets_in_no_more_when_requests_of_before_end(num_used: int) -> None:
    desk = Desk()
    old, new = limited(tokens_per_minute=60_000), limited(tokens_per_minute=600)
    early = [desk.admit(old, tokens=1_000) for _ in range(60)]
    num_admitted = 0
    for permit in early:
        num_admitted += desk.num_admitted(new, tokens=600)
        permit.close(num_used)
        desk.clock.advance(1)
    # A bucket that is full, and what comes into it in a minute.
    assert num_admitted <= 2


def test_who_owes_tokens_may_have_a_recording_heard() -> None:
    desk = Desk()
    key = limited(tokens_per_minute=600)
    desk.admit(key, tokens=500).close(5_000)
    assert desk.refusal(key, tokens=1).kind == "tokens"
    desk.rates.admit(key, model="whisper-1", family="whisper-1", need=LimitNeed(audio_minutes=1))


@pytest.mark.parametrize("jump_seconds", [3_600.0, -3_600.0, 86_400.0, -86_400.0, 1.0])
def test_e5_a_jump_of_the_wall_clock_neither_frees_nor_locks(jump_seconds: float) -> None:
    desk = Desk()
    assert desk.num_admitted(METERED) == 20
    desk.clock._now += jump_seconds
    assert desk.num_admitted(METERED) == 0
    desk.clock.advance(60)
    assert desk.num_admitted(METERED) == 20


@given(st.lists(st.tuples(st.integers(1, 3_000), st.integers(0, 30_000), st.integers(0, 20_000)), max_size=60))
def test_e4_tokens_let_in_never_exceed_what_was_there_and_refilled(requests: list[tuple[int, int, int]]) -> None:
    desk = Desk()
    desk.rates.set_tier("org-a", "paid")
    used, start = 0, desk.clock.monotonic()
    for tokens, actual, pause_ms in requests:
        desk.clock.advance(pause_ms / 1000)
        try:
            permit = desk.admit(tokens=tokens)
        except RateLimited:
            continue
        allowed = tokens + (permit.extend(actual - tokens) if actual > tokens else 0)
        permit.close(min(actual, allowed))
        used += min(actual, allowed)
    assert used <= 90_000 + (desk.clock.monotonic() - start) * 1_500


def test_e10_the_levels_are_those_of_the_decision_that_was_just_made() -> None:
    desk = Desk()
    for num in range(20):
        assert desk.admit().levels.requests.remaining == 19 - num
    assert desk.refusal().levels.requests.remaining == 0


def test_how_the_limits_stand_can_be_asked_without_taking_anything() -> None:
    desk = Desk()
    desk.admit(tokens=100)
    for _ in range(30):
        levels = desk.rates.standing(METERED, model="gpt-3.5-turbo-0301", family="gpt-3.5-turbo")
    assert (levels.requests.remaining, levels.tokens.remaining) == (19, 39_900)
    # Of a model that nobody has: what the tier allows in general.
    assert desk.rates.standing(METERED, model="", family="").requests.remaining == 20
    assert desk.rates.standing(OPEN, model="", family="").requests is None
    assert desk.num_admitted(METERED) == 19


def test_buckets_unused_for_longest_are_forgotten() -> None:
    desk = Desk(max_buckets=10)
    for num in range(100):
        desk.admit(model=f"model-{num}")
    assert len(desk.counters._buckets) <= 10


def test_a_bucket_that_is_used_is_not_forgotten_however_many_others_come() -> None:
    desk, busy = Desk(max_buckets=10), limited(requests_per_minute=2)
    assert desk.num_admitted(busy) == 2
    for num in range(100):
        desk.admit(replace(limited(requests_per_minute=1), key_id=f"key_{num}"))
        assert desk.refusal(busy).kind == "requests"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.012, "12ms"),
        (0.0001, "1ms"),
        (0.9999, "1s"),
        (1.2, "1.2s"),
        (20, "20s"),
        (59.9999, "1m0s"),
        (360, "6m0s"),
        (7_380, "2h3m0s"),
        (86_400, "24h0m0s"),
    ],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_minutes_of_audio_that_were_not_heard_come_back_and_those_beyond_are_taken() -> None:
    desk, principal = Desk(), limited(audio_minutes_per_minute=10)

    def admit(minutes: int) -> Permit:
        return desk.rates.admit(principal, model="m", family="f", need=LimitNeed(audio_minutes=minutes))

    admit(8).close(audio_minutes=2)
    admit(7).close(audio_minutes=8)
    with pytest.raises(RateLimited, match="audio minutes per minute"):
        admit(1)


def test_a_recording_that_grows_takes_the_minutes_that_it_needs_or_is_refused() -> None:
    desk, principal = Desk(), limited(audio_minutes_per_minute=10)
    permit = desk.rates.admit(principal, model="m", family="f", need=LimitNeed(audio_minutes=7))
    assert permit.extend_audio(2, least=1) == 2
    assert permit.extend_audio(2, least=1) == 1
    with pytest.raises(RateLimited, match=r"Limit 10, Requested 11\. The recording must be reduced") as refusal:
        permit.extend_audio(1, least=1)
    assert refusal.value.retry_after_seconds is None


def test_a_recording_that_may_grow_later_is_told_when() -> None:
    desk, principal = Desk(), limited(audio_minutes_per_minute=10)
    desk.rates.admit(principal, model="m", family="f", need=LimitNeed(audio_minutes=6))
    permit = desk.rates.admit(principal, model="m", family="f", need=LimitNeed(audio_minutes=4))
    with pytest.raises(RateLimited, match=r"Limit 10, Used 10, Requested 5\.") as refusal:
        permit.extend_audio(1, least=1)
    # As long as it takes until all of it would be let in, from the start.
    assert refusal.value.retry_after_seconds == 30.0
    permit.cancel()
    assert desk.rates.admit(principal, model="m", family="f", need=LimitNeed(audio_minutes=4))
