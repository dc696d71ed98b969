"""Limits at work: whose they are, what is taken from them, and the words in which they refuse."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from parley.core.durations import duration
from parley.core.errors import RateLimited
from parley.core.limits import LimitNeed, Limits

_MINUTE, _DAY = 60.0, 86_400.0


class Meter(Enum):
    """What is limited: its name in Limits, what it counts, how a refusal calls it, and the seconds of its window."""

    REQUESTS_MINUTE = ("requests_per_minute", "requests", "requests per min (RPM)", _MINUTE)
    TOKENS_MINUTE = ("tokens_per_minute", "tokens", "tokens per min (TPM)", _MINUTE)
    IMAGES_MINUTE = ("images_per_minute", "images", "images per minute", _MINUTE)
    AUDIO_MINUTE = ("audio_minutes_per_minute", "audio_minutes", "audio minutes per minute", _MINUTE)
    REQUESTS_DAY = ("requests_per_day", "requests", "requests per day (RPD)", _DAY)
    TOKENS_DAY = ("tokens_per_day", "tokens", "tokens per day (TPD)", _DAY)

    def __init__(self, limit_name: str, counted: str, words: str, window_seconds: float) -> None:
        self.limit_name = limit_name
        self.counted = counted
        self.words = words
        self.window_seconds = window_seconds
        # The wire's `type` of a refusal: OpenAI's has these two alone.
        self.kind = "tokens" if counted == "tokens" else "requests"
        # Whether what a request takes is known only when it is over.
        self.is_measured = counted in {"tokens", "audio_minutes"}

    def amount(self, need: LimitNeed) -> int:
        """What a request with this need takes."""
        if self.counted == "tokens":
            return need.tokens
        if self.counted == "images":
            return need.images
        return need.audio_minutes if self.counted == "audio_minutes" else 1


class Debit(NamedTuple):
    """`amount` units from one bucket of `capacity`. `bucket` names it. A few are made for each request, so it is a tuple."""

    bucket: tuple[str, ...]
    meter: Meter
    capacity: int
    amount: int


class Subject:
    """Whom limits count: `name` is an id, and what it is counted for (a model) where that counts apart.

    Made once for all the requests that are counted so.
    """

    __slots__ = ("_caps", "limits", "place")

    def __init__(self, name: tuple[str, ...], limits: Limits) -> None:
        self.limits = limits
        # Where its requests at once are counted.
        self.place = (*name, "concurrent")
        capped = [(meter, getattr(limits, meter.limit_name)) for meter in Meter]
        self._caps = [
            ((*name, meter.limit_name), meter, capacity) for meter, capacity in capped if capacity is not None
        ]

    def debits(self, need: LimitNeed) -> list[Debit]:
        """What a request takes from the limits."""
        debits = []
        for bucket, meter, capacity in self._caps:
            amount = meter.amount(need)
            # Only what may refuse, or what the headers tell, is looked at.
            if amount or meter.counted == "tokens":
                debits.append(Debit(bucket, meter, capacity, amount))
        return debits


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Who is refused, as the sentence names it."""

    model: str
    organization_id: str


# What of a request makes it too large. One request is more than a limit of none alone.
_REDUCIBLE = {
    "tokens": "input or output tokens",
    "images": "number of images",
    "audio_minutes": "recording",
}


def too_large(whose: Whose, debit: Debit) -> RateLimited:
    """The refusal of a request that no waiting can let through."""
    if debit.capacity:
        advice = f"The {_REDUCIBLE[debit.meter.counted]} must be reduced in order to run successfully."
    else:
        advice = "Nothing is let through."
    return RateLimited(
        f"Request too large for {whose.model} in organization {whose.organization_id} on {debit.meter.words}: "
        f"Limit {debit.capacity}, Requested {debit.amount}. {advice}",
        kind=debit.meter.kind,
        code="rate_limit_exceeded",
        retry_after_seconds=None,
    )


def reached(whose: Whose, debit: Debit, *, remaining: int, seconds: float) -> RateLimited:
    """The refusal of a request that will fit in `seconds`."""
    return RateLimited(
        f"Rate limit reached for {whose.model} in organization {whose.organization_id} on {debit.meter.words}: "
        f"Limit {debit.capacity}, Used {debit.capacity - remaining}, Requested {debit.amount}. Please try again in "
        f"{duration(seconds)}.",
        kind=debit.meter.kind,
        code="rate_limit_exceeded",
        retry_after_seconds=seconds,
    )


def too_many_at_once(whose: Whose, limit: int) -> RateLimited:
    """The refusal of one more request beside those that run; where none may, no waiting helps."""
    return RateLimited(
        f"Rate limit reached for {whose.model} in organization {whose.organization_id} on concurrent requests: "
        f"Limit {limit}, Used {limit}, Requested 1. Please try again when one of them has ended.",
        kind="requests",
        code="rate_limit_exceeded",
        retry_after_seconds=1.0 if limit else None,
    )
