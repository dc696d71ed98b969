"""Tiers: named sets of limits, one for each organization. Each counts for each model by itself, as OpenAI's do."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from parley.core.errors import OperatorError
from parley.core.limits import FREE_TIER, LIMIT_NAMES, NEW_PAID_TIER, NO_LIMITS, PAID_TIER, Limits

_GPT_4 = Limits(requests_per_minute=200, tokens_per_minute=40_000)
# How the file takes away a limit that a default tier has: TOML has no null.
_NO_LIMIT = "none"


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
        FREE_TIER: Tier(limits=Limits(requests_per_minute=20, tokens_per_minute=40_000), by_family={"gpt-4": _GPT_4}),
        NEW_PAID_TIER: Tier(
            limits=Limits(requests_per_minute=60, tokens_per_minute=60_000), by_family={"gpt-4": _GPT_4}
        ),
        PAID_TIER: Tier(
            limits=Limits(requests_per_minute=3_500, tokens_per_minute=90_000), by_family={"gpt-4": _GPT_4}
        ),
    }
)


_NO_TIER = Tier(limits=NO_LIMITS)


class TiersRefused(OperatorError):
    """The operator's file of tiers cannot be used. The message is one line."""


def read_tiers(path: Path) -> Mapping[str, Tier]:
    """The default tiers with what the operator's file states in their place, and the others that it names.

    A table for each tier, with limits by their names and, under `family`, tables of tighter ones. What a default tier's
    table leaves out stays as it is by default; "none" is no limit:

        [paid]
        requests_per_minute = 10_000
        tokens_per_minute = "none"
        [paid.family.gpt-4]
        requests_per_minute = 500

    Raises TiersRefused.
    """
    if not path.exists():
        return DEFAULT_TIERS
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TiersRefused(f"{path} cannot be read as TOML: {error}") from None
    stated = {
        name: _tier(f"{path}: {name}", table, DEFAULT_TIERS.get(name, _NO_TIER)) for name, table in tables.items()
    }
    return MappingProxyType({**DEFAULT_TIERS, **stated})


def _tier(place: str, table: object, default: Tier) -> Tier:
    if not isinstance(table, dict):
        raise TiersRefused(f"{place} must be a table of limits")
    families = table.get("family", {})
    if not isinstance(families, dict):
        raise TiersRefused(f"{place}.family must be a table of tables")
    own = {name: value for name, value in table.items() if name != "family"}
    by_family = {
        family: _limits(f"{place}.family.{family}", limits, default.by_family.get(family, NO_LIMITS))
        for family, limits in families.items()
    }
    return Tier(limits=_limits(place, own, default.limits), by_family={**default.by_family, **by_family})


def _limits(place: str, table: object, default: Limits) -> Limits:
    if not isinstance(table, dict):
        raise TiersRefused(f"{place} must be a table of limits")
    for name, value in table.items():
        if name not in LIMIT_NAMES:
            raise TiersRefused(f"{place}.{name} is no limit; there are {', '.join(LIMIT_NAMES)}")
        if value != _NO_LIMIT and (type(value) is not int or value < 0):
            raise TiersRefused(f'{place}.{name} must be a whole number, 0 or more, or "none"')
    return replace(default, **{name: None if value == _NO_LIMIT else value for name, value in table.items()})
