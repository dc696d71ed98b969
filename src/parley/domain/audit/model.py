"""The audit log: one entry for each change, and which entries are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass

from parley.core.actor import ActorKind

# An object as it was or as it became, without anything secret; every value is what JSON can hold.
Shown = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was done to what. `type` is OpenAI's where it has one (`project.created`); `before` None: it was not there."""

    type: str
    organization_id: str
    resource_id: str
    project_id: str | None = None
    before: Shown | None = None
    after: Shown | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A change with who made it, when (seconds since the epoch) and from where. Never changed, never deleted."""

    id: str
    effective_at: float
    change: Change
    actor_kind: ActorKind
    # The key's or session's id.
    actor_id: str
    actor_user_id: str | None
    actor_email: str | None
    address: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries of an organization; an empty one asks for nothing. Times in seconds, both ends included."""

    since: float | None = None
    until: float | None = None
    types: frozenset[str] = frozenset()
    project_ids: frozenset[str] = frozenset()
    actor_ids: frozenset[str] = frozenset()
    actor_emails: frozenset[str] = frozenset()
    resource_ids: frozenset[str] = frozenset()
