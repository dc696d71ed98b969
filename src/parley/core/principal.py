"""Who calls: the owner of a key or a session, and what it may do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from parley.core.limits import NO_LIMITS, Limits

# What ids of sessions begin with, and no key's.
SESSION_PREFIX = "sess_"


class Scope(StrEnum):
    """What a key or a session may do.

    `ALL` is everything that a project's key can do; what administers is never part of it and is always named.
    """

    ALL = "all"
    READ = "read"
    MODEL_REQUEST = "model.request"
    # One family of endpoints each; `model.request` is all of them.
    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    MODERATIONS = "moderations"
    AUDIO = "audio"
    IMAGES = "images"
    RESPONSES = "responses"
    FILES = "files"
    FINE_TUNING = "fine_tuning"
    BATCHES = "batches"
    # Make and revoke keys of one's own projects.
    KEYS = "keys"
    # See what is administered; administer the organization; do what only its owners may.
    ADMIN_READ = "admin.read"
    ADMIN = "admin"
    OWNER = "owner"
    # Read how the installation does, and nothing else.
    METRICS = "metrics"
    # Administer the installation: every organization on it.
    OPERATOR = "operator"


FAMILIES = frozenset(
    {
        Scope.CHAT,
        Scope.COMPLETIONS,
        Scope.EMBEDDINGS,
        Scope.MODERATIONS,
        Scope.AUDIO,
        Scope.IMAGES,
        Scope.RESPONSES,
        Scope.FILES,
        Scope.FINE_TUNING,
        Scope.BATCHES,
    }
)

# Scope -> every scope that grants it.
_GRANTED_BY: Mapping[Scope, frozenset[Scope]] = MappingProxyType(
    {
        **{family: frozenset({family, Scope.MODEL_REQUEST, Scope.ALL}) for family in FAMILIES},
        Scope.ALL: frozenset({Scope.ALL}),
        Scope.READ: frozenset({Scope.READ, Scope.ALL}),
        Scope.MODEL_REQUEST: frozenset({Scope.MODEL_REQUEST, Scope.ALL}),
        Scope.KEYS: frozenset({Scope.KEYS, Scope.ADMIN}),
        Scope.ADMIN_READ: frozenset({Scope.ADMIN_READ, Scope.ADMIN}),
        Scope.ADMIN: frozenset({Scope.ADMIN}),
        Scope.OWNER: frozenset({Scope.OWNER}),
        Scope.METRICS: frozenset({Scope.METRICS, Scope.OPERATOR}),
        Scope.OPERATOR: frozenset({Scope.OPERATOR}),
    }
)


def closure(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """`scopes` with everything that they grant."""
    return frozenset({scope for scope in Scope if grants(scopes, scope)})


def grants(scopes: frozenset[Scope], scope: Scope) -> bool:
    """Whether one of `scopes` grants `scope`."""
    return not scopes.isdisjoint(_GRANTED_BY[scope])


# In whose name something runs: a key or a session by its id, and the project; a session's user may have several.
Caller = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """`key_id` is a key's id, or a session's, whose `user_id` is then set."""

    organization_id: str
    project_id: str
    key_id: str
    scopes: frozenset[Scope]
    # None: every model. Otherwise the names (aliases or snapshots) that the key may use.
    allowed_models: frozenset[str] | None = None
    # Whose the key or session is: a person's, or a service account's; or nobody's.
    user_id: str | None = None
    service_account_id: str | None = None
    # None: every project of the organization. Otherwise those that it may see and change.
    project_ids: frozenset[str] | None = None
    # Whether limits and the balance may refuse: see the glossary, open and metered.
    is_metered: bool = False
    # The key's own limits, and what it may cost in a calendar month (UTC), in nano-dollars; None: no budget of its own.
    limits: Limits = NO_LIMITS
    budget_nano: int | None = None
    # Seconds since the epoch; None: it does not expire. What it makes expires no later.
    expires_at: float | None = None
    # The key in whose place this one came, as far back as keys were rotated; None: it came in nobody's.
    counted_as: str | None = None

    @property
    def spender(self) -> str:
        """In whose name the key's own limits and budget are counted: keys that are rotated have them together."""
        return self.counted_as or self.key_id

    @property
    def is_session(self) -> bool:
        """Whether a person who logged in calls, and no key."""
        return self.key_id.startswith(SESSION_PREFIX)

    @property
    def caller(self) -> Caller:
        """In whose name it runs something."""
        return self.key_id, self.project_id

    def may(self, scope: Scope) -> bool:
        """Whether one of the scopes grants `scope`."""
        return grants(self.scopes, scope)

    def reaches(self, project_id: str) -> bool:
        """Whether it may see and change what belongs to this project of its organization."""
        return self.project_ids is None or project_id in self.project_ids
