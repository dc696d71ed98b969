"""What limits say: waits after which a request is let in, levels that are nearest to refusing, and histories against a model."""

from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.clock import FakeClock
from parley.core.errors import RateLimited
from parley.core.limits import FREE_TIER, Level, Levels, LimitNeed, Limits
from parley.core.principal import Principal, Scope
from parley.domain.limits.counters import ProcessCounters
from parley.domain.limits.service import Permit, RateLimits
from parley.domain.limits.tiers import Tier

KEY = Principal(organization_id="org-a", project_id="proj_a", key_id="key_a", scopes=frozenset({Scope.ALL}))


class Desk:
    """One key with limits of its own, in an organization with a tier, or without one."""

    def __init__(self, limits: Limits, tier: Limits | None = None) -> None:
        self.clock = FakeClock()
        tiers = {FREE_TIER: Tier(limits=tier or Limits())}
        self.rates = RateLimits(ProcessCounters(), self.clock, tiers=tiers)
        self.key = replace(KEY, limits=limits, is_metered=tier is not None)

    def admit(self, **need: int) -> Permit:
        return self.rates.admit(self.key, model="m", family="f", need=LimitNeed(**need))

    def refusal(self, **need: int) -> RateLimited:
        with pytest.raises(RateLimited) as caught:
            self.admit(**need)
        return caught.value


def test_the_headers_tell_of_a_days_limit_that_is_nearer_to_refusing_than_the_minutes() -> None:
    desk = Desk(Limits(requests_per_minute=10, requests_per_day=2, tokens_per_minute=100, tokens_per_day=150))
    levels = desk.admit(tokens=60).levels
    assert (levels.requests.limit, levels.requests.remaining) == (2, 1)
    assert (levels.tokens.limit, levels.tokens.remaining) == (100, 40)
    desk.clock.advance(60)
    levels = desk.admit(tokens=60).levels
    assert (levels.tokens.limit, levels.tokens.remaining) == (150, 30)
    refusal = desk.refusal(tokens=1)
    assert refusal.levels.requests.remaining == 0
    assert refusal.levels.requests.reset_seconds > refusal.retry_after_seconds > 43_000


def test_the_headers_tell_of_a_days_limit_alone_also_where_nothing_is_asked() -> None:
    desk = Desk(Limits(requests_per_day=2, tokens_per_day=20))
    desk.admit(tokens=15)
    standing = desk.rates.standing(desk.key, model="m", family="f")
    assert (standing.requests.remaining, standing.tokens.remaining) == (1, 5)
    assert desk.admit(audio_minutes=1).levels.tokens.remaining == 5


def test_of_limits_with_as_much_left_the_headers_tell_of_the_one_that_takes_longer() -> None:
    desk = Desk(Limits(requests_per_minute=1, requests_per_day=1))
    assert desk.admit().levels.requests.reset_seconds == 86_400


def test_limits_on_images_and_audio_are_no_limits_on_requests() -> None:
    desk = Desk(Limits(images_per_minute=1, audio_minutes_per_minute=1))
    assert desk.admit(images=1, audio_minutes=1).levels == Levels()


def test_a_request_does_not_wait_for_what_it_takes_nothing_of() -> None:
    desk = Desk(Limits(requests_per_minute=60, tokens_per_minute=1_000))
    for _ in range(59):
        desk.admit()
    desk.admit(tokens=900).close(8_000)
    assert desk.refusal(audio_minutes=1).retry_after_seconds == 1
    desk.clock.advance(1)
    desk.admit(audio_minutes=1)


def test_a_request_that_never_fits_is_told_so_although_another_limit_refuses_first() -> None:
    desk = Desk(Limits(requests_per_minute=1, tokens_per_minute=1_000))
    desk.admit(tokens=1)
    refusal = desk.refusal(tokens=5_000)
    assert refusal.message.startswith(
        "Request too large for m in organization org-a on tokens per min (TPM): Limit 1000"
    )
    assert refusal.retry_after_seconds is None


WINDOWS = {
    "requests_per_minute": 60,
    "tokens_per_minute": 60,
    "audio_minutes_per_minute": 60,
    "requests_per_day": 86_400,
    "tokens_per_day": 86_400,
}


@dataclass
class ModelBucket:
    """A bucket on paper: exact fractions, refilled by the time that has passed."""

    field: str
    capacity: int
    filled: Fraction
    at_ns: int

    def amount(self, need: LimitNeed) -> int:
        if self.field.startswith("tokens"):
            return need.tokens
        return need.audio_minutes if self.field.startswith("audio") else 1

    def refill(self, now_ns: int) -> None:
        come = Fraction((now_ns - self.at_ns) * self.capacity, WINDOWS[self.field] * 10**9)
        self.filled, self.at_ns = min(Fraction(self.capacity), self.filled + come), now_ns

    def seconds_until(self, amount: int) -> float:
        return float(max(Fraction(0), (amount - self.filled) * WINDOWS[self.field] / self.capacity))

    @property
    def level(self) -> Level:
        return Level(self.capacity, max(0, int(self.filled // 1)), self.seconds_until(self.capacity))


class Model:
    """What a desk's limits must answer, in the plainest way there is."""

    def __init__(self, desk: Desk, *all_limits: Limits) -> None:
        self.now_ns = int(desk.clock.monotonic() * 10**9)
        self.buckets = [
            ModelBucket(field, capacity, Fraction(capacity), self.now_ns)
            for limits in all_limits
            for field in WINDOWS
            if (capacity := getattr(limits, field)) is not None
        ]

    def refill(self, now: float) -> None:
        for bucket in self.buckets:
            bucket.refill(int(now * 10**9))

    def take(self, need: LimitNeed) -> bool:
        if any(bucket.filled < bucket.amount(need) for bucket in self._asked(need)):
            return False
        for bucket in self.buckets:
            bucket.filled -= bucket.amount(need)
        return True

    def correct(self, need: LimitNeed, used: LimitNeed) -> None:
        for bucket in self.buckets:
            bucket.filled = min(Fraction(bucket.capacity), bucket.filled - bucket.amount(used) + bucket.amount(need))

    def wait(self, need: LimitNeed) -> float | None:
        asked = self._asked(need)
        if any(bucket.amount(need) > bucket.capacity for bucket in asked):
            return None
        return max(bucket.seconds_until(bucket.amount(need)) for bucket in asked)

    def nearest(self, counted: str) -> Level | None:
        levels = [bucket.level for bucket in self.buckets if bucket.field.startswith(counted)]
        return min(levels, key=lambda level: (level.remaining, -level.reset_seconds), default=None)

    def _asked(self, need: LimitNeed) -> list[ModelBucket]:
        return [bucket for bucket in self.buckets if bucket.amount(need)]


def caps(**choices: int) -> st.SearchStrategy[Limits]:
    return st.builds(Limits, **{name: st.sampled_from([None, cap, 3 * cap]) for name, cap in choices.items()})


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.001, 0.3, 1.0, 5.0, 30.0, 400.0]),
        st.sampled_from([0, 10, 40, 90, 600]),
        st.sampled_from([0, 0, 1, 4]),
        # How much of the tokens is used in the end; None: the request goes on.
        st.sampled_from([None, 0.0, 0.5, 1.0, 3.0]),
    ),
    max_size=40,
)


@given(
    own=caps(requests_per_minute=2, tokens_per_minute=50, audio_minutes_per_minute=2, requests_per_day=7),
    tier=caps(requests_per_minute=3, tokens_per_minute=100, requests_per_day=10, tokens_per_day=500),
    steps=STEPS,
)
def test_decisions_waits_and_levels_are_those_of_a_model_on_paper(
    own: Limits, tier: Limits, steps: list[tuple[float, int, int, float | None]]
) -> None:
    desk = Desk(own, tier)
    model = Model(desk, tier, own)
    for pause, tokens, audio_minutes, used_part in steps:
        desk.clock.advance(pause)
        model.refill(desk.clock.monotonic())
        need = LimitNeed(tokens=tokens, audio_minutes=audio_minutes)
        if not model.take(need):
            refusal = desk.refusal(tokens=tokens, audio_minutes=audio_minutes)
            assert refusal.retry_after_seconds == pytest.approx(model.wait(need), abs=1e-6)
            assert_levels(refusal.levels, model)
            continue
        permit = desk.admit(tokens=tokens, audio_minutes=audio_minutes)
        assert_levels(permit.levels, model)
        if used_part is not None:
            used = LimitNeed(tokens=int(tokens * used_part), audio_minutes=audio_minutes)
            permit.close(used.tokens, audio_minutes=audio_minutes)
            model.correct(need, used)


def assert_levels(told: Levels | None, model: Model) -> None:
    assert told is not None
    for level, counted in ((told.requests, "requests"), (told.tokens, "tokens")):
        assert level == pytest.approx(model.nearest(counted), abs=1e-6)
