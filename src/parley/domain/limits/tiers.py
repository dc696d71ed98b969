"""Tiers: named sets of limits, one for each organization. Each counts for each model by itself, as OpenAI's do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from parley.core.limits import NO_LIMITS, Limits

FREE, NEW_PAID, PAID = "free", "paid_new", "paid"
_GPT_4 = Limits(requests_per_minute=200, tokens_per_minute=40_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """The limits of every model, and of families of models that have tighter ones besides."""

    limits: Limits
    by_family: Mapping[str, Limits] = field(default_factory=dict)

    def for_family(self, family: str) -> Limits:
        """The limits of a model of this family."""
        return self.limits.within(self.by_family.get(family, NO_LIMITS))


# OpenAI's of 2023: the free trial, the first 48 hours of paying, and after them.
DEFAULT_TIERS: Mapping[str, Tier] = MappingProxyType(
    {
        FREE: Tier(limits=Limits(requests_per_minute=20, tokens_per_minute=40_000), by_family={"gpt-4": _GPT_4}),
        NEW_PAID: Tier(limits=Limits(requests_per_minute=60, tokens_per_minute=60_000), by_family={"gpt-4": _GPT_4}),
        PAID: Tier(limits=Limits(requests_per_minute=3_500, tokens_per_minute=90_000), by_family={"gpt-4": _GPT_4}),
    }
)
