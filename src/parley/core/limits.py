"""Limits as a value: how much of what in which window. Who counts against them is `domain/limits`."""

from dataclasses import dataclass, fields
from typing import NamedTuple, Self

from msgspec import Struct


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps; None is no cap. Minutes and days are windows that refill evenly, not on the clock's stroke."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    images_per_minute: int | None = None
    audio_minutes_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_day: int | None = None
    concurrent_requests: int | None = None

    def within(self, other: Self) -> Self:
        """The tighter of both, cap by cap."""
        return type(self)(**{name: _tighter(getattr(self, name), getattr(other, name)) for name in LIMIT_NAMES})

    def stated(self) -> dict[str, int]:
        """The caps that are set, by name."""
        return {name: value for name in LIMIT_NAMES if (value := getattr(self, name)) is not None}


# The tiers that every installation has.
FREE_TIER, NEW_PAID_TIER, PAID_TIER = "free", "paid_new", "paid"
LIMIT_NAMES = tuple([field.name for field in fields(Limits)])
NO_LIMITS = Limits()


def _tighter(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


class LimitNeed(Struct, frozen=True, kw_only=True):
    """What one request takes from its limits: the most that it may use, whose unused part is given back."""

    tokens: int = 0
    images: int = 0
    audio_minutes: int = 0


class Level(NamedTuple):
    """How one limit stands after a decision: the cap, what is left of it, and in how many seconds it is whole again."""

    limit: int
    remaining: int
    reset_seconds: float


class Levels(NamedTuple):
    """The limits, by the minute or the day, that are nearest to refusing; None: nothing limits."""

    requests: Level | None = None
    tokens: Level | None = None
