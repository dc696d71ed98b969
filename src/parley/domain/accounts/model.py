"""Accounts: organizations, their projects, and the keys that work for a project."""

from dataclasses import dataclass
from enum import StrEnum

from parley.core.limits import NO_LIMITS, Limits
from parley.core.principal import Scope

OWNER_SCOPES = frozenset({Scope.ALL, Scope.ADMIN, Scope.OWNER, Scope.OPERATOR})
# What a key with one of these is for is not a project's work: it is an admin key.
ADMIN_SCOPES = frozenset({Scope.ADMIN_READ, Scope.ADMIN, Scope.OWNER, Scope.METRICS, Scope.OPERATOR})
# What reaches beyond one organization counts in keys of the first one alone.
HOUSE_SCOPES = frozenset({Scope.METRICS, Scope.OPERATOR})
# For how long after its end a key is followed, and takes room: something may run that it began, and the clock may have been
# ahead, which would end it for good.
LINGERING_SECONDS = 86_400.0


class OrganizationStatus(StrEnum):
    """A pending organization waits for the operator's approval; a suspended one was stopped by the operator."""

    ACTIVE = "active"
    PENDING = "pending"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """`is_house`: the one of the first start, whose owners operate the installation. `tier` names its limits."""

    id: str
    name: str
    created_at: float
    status: OrganizationStatus = OrganizationStatus.ACTIVE
    is_house: bool = False
    tier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Nothing can be done with an archived project, and it cannot be brought back."""

    id: str
    organization_id: str
    name: str
    created_at: float
    archived_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """A program that has keys of a project, independent of any person."""

    id: str
    organization_id: str
    project_id: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as it is kept: its digest and last four characters, never itself. Times in seconds since the epoch."""

    id: str
    organization_id: str
    # An admin key has one too: what it runs is counted there.
    project_id: str
    name: str
    digest: bytes
    last_four: str
    scopes: frozenset[Scope]
    # None: every model. Otherwise the names that the key may use.
    allowed_models: frozenset[str] | None
    created_at: float
    revoked_at: float | None = None
    expires_at: float | None = None
    last_used_at: float | None = None
    # Whose it is, where it is somebody's: it never may more than this person may.
    user_id: str | None = None
    service_account_id: str | None = None
    limits: Limits = NO_LIMITS
    # What it may cost in a calendar month (UTC), in nano-dollars.
    budget_nano: int | None = None
    # The first of the keys that came one in another's place, if it is not this one: all of them share one count.
    counted_as: str | None = None
    # The key that took its place, while it still counts beside it: a key is rotated once.
    replaced_by: str | None = None

    @property
    def spender(self) -> str:
        """In whose name its limits and its budget are counted."""
        return self.counted_as or self.id

    @property
    def is_admin(self) -> bool:
        return not self.scopes.isdisjoint(ADMIN_SCOPES)

    def is_over(self, now: float) -> bool:
        """Whether its end has passed."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """What the maker of a key says of it."""

    name: str
    scopes: frozenset[Scope] = frozenset({Scope.MODEL_REQUEST, Scope.READ})
    allowed_models: frozenset[str] | None = None
    expires_at: float | None = None
    user_id: str | None = None
    service_account_id: str | None = None
    limits: Limits = NO_LIMITS
    budget_nano: int | None = None
    # The key whose count it goes on with.
    counted_as: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A new key with its secret, which is shown once and kept nowhere."""

    key: Key
    secret: str
