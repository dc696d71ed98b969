"""Reads what was used and what it cost out of the sums: in groups, with the names of what they are grouped by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from parley.core.clock import SystemClock
from parley.core.money import NANO_PER_DOLLAR
from parley.domain.accounts.ring import Ring
from parley.domain.accounts.service import Accounts
from parley.domain.usage.model import Dimension, Span, SumFilter, UsageSum, Width
from parley.domain.usage.service import usage_sums
from parley.infra.db import Connection, reading
from parley.infra.settings import Settings

# What each dimension is called where people read it; the second column has the name of what the id in the first is.
COLUMNS: Mapping[Dimension, tuple[str, ...]] = MappingProxyType(
    {
        Dimension.ORGANIZATION: ("organization_id", "organization"),
        Dimension.PROJECT: ("project_id", "project"),
        Dimension.USER: ("user_id", "user"),
        Dimension.KEY: ("api_key_id", "api_key"),
        Dimension.MODEL: ("model",),
        Dimension.ENDPOINT: ("endpoint",),
    }
)
_COUNTS = ("requests", "input_tokens", "cached_tokens", "output_tokens", "audio_seconds", "images")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Usage in rows under their columns. `is_cut`: there would have been more."""

    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be shown: whose usage, of when, in which groups; at most `limit` rows."""

    wanted: SumFilter
    span: Span
    group_by: tuple[Dimension, ...]
    limit: int = 1_000_000


def usage_table(connection: Connection, accounts: Accounts, question: Question) -> Table:
    """What was used and charged, in the order of time and names. Costs are exact: in dollars, and in nano-dollars."""
    span, groups = question.span, question.group_by
    sums = usage_sums(connection, question.wanted, span, groups, limit=question.limit + 1)
    names = accounts.names(connection, question.wanted.organization_id)
    time = ("start",) if span.is_split else ()
    named = [column for dimension in groups for column in COLUMNS[dimension]]
    return Table(
        columns=(*time, *named, *_COUNTS, "cost_usd", "cost_nano"),
        rows=[_row(each, span, groups, names) for each in sums[: question.limit]],
        is_cut=len(sums) > question.limit,
    )


def read_usage(settings: Settings, question: Question) -> Table:
    """The same where the database lies, from outside the server. Blocks; raises DatabaseRefused, NotFound."""
    clock = SystemClock()
    accounts = Accounts(Ring(b"", clock), clock)
    with reading(settings.database_place) as connection:
        if question.wanted.organization_id is not None:
            accounts.organization(connection, question.wanted.organization_id)
        return usage_table(connection, accounts, question)


def _row(found: UsageSum, span: Span, groups: Sequence[Dimension], names: Mapping[str, str]) -> tuple[object, ...]:
    named: list[str | None] = []
    for dimension in groups:
        value = found.group[dimension]
        named += [value] if len(COLUMNS[dimension]) == 1 else [value, names.get(value or "")]
    usage = found.usage
    return (
        *([shown_start(found.start_at, span.width)] if span.is_split else []),
        *named,
        found.num_requests,
        usage.input_tokens,
        usage.cached_tokens,
        usage.output_tokens,
        usage.audio_seconds,
        found.num_images,
        f"{found.charge_nano // NANO_PER_DOLLAR}.{found.charge_nano % NANO_PER_DOLLAR:09}",
        found.charge_nano,
    )


def shown_start(start: int, width: Width) -> str:
    """The beginning of a step: its date, or its time of UTC."""
    moment = datetime.fromtimestamp(start, UTC)
    return f"{moment:%Y-%m-%d}" if width is Width.DAY else f"{moment:%Y-%m-%dT%H:%MZ}"
