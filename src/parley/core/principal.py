"""Who calls: the owner of a key, and what the key may do."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a key may do. `ALL` includes the rest; `ADMIN` is for what changes the platform itself."""

    ALL = "all"
    ADMIN = "admin"
    READ = "read"
    MODEL_REQUEST = "model.request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    organization_id: str
    project_id: str
    key_id: str
    scopes: frozenset[Scope]
    # None: every model. Otherwise the names (aliases or snapshots) that the key may use.
    allowed_models: frozenset[str] | None = None

    def may(self, scope: Scope) -> bool:
        """Whether one of the scopes grants `scope`."""
        return scope in self.scopes or Scope.ALL in self.scopes
