"""Usage records: which of them are asked for, and their sums."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from parley.core.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """Which records to list; None asks for nothing. Times in seconds since the epoch, the end excluded."""

    since: float | None = None
    until: float | None = None
    key_id: str | None = None
    request_id: str | None = None


class Dimension(StrEnum):
    """What usage can be grouped by; the values are the records' columns."""

    PROJECT = "project_id"
    KEY = "key_id"
    MODEL = "snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class SumFilter:
    """Whose usage is summed, of which endpoints. None, or no `key_ids` or `models`: of all."""

    organization_id: str
    endpoints: frozenset[str] | None
    project_ids: frozenset[str] | None = None
    key_ids: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSum:
    """What the requests of one group used together; `group` has the value of each dimension that was grouped by."""

    group: Mapping[Dimension, str]
    num_requests: int
    usage: Usage
    charge_nano: int
