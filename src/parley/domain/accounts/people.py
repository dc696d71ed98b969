"""People: users, the organizations and projects that they belong to, and what each role may do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from parley.core.errors import InvalidRequest
from parley.core.principal import Scope

_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")
_MAX_EMAIL_CHARACTERS = 254


class Role(StrEnum):
    """From the least to the most: a viewer looks, a developer works, an admin administers, an owner may do all."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    ADMIN = "admin"
    OWNER = "owner"


_ASCENDING = tuple(Role)
_SCOPES: Mapping[Role, frozenset[Scope]] = MappingProxyType(
    {
        Role.VIEWER: frozenset({Scope.READ, Scope.ADMIN_READ}),
        Role.DEVELOPER: frozenset({Scope.ALL, Scope.KEYS, Scope.ADMIN_READ}),
        Role.ADMIN: frozenset({Scope.ALL, Scope.ADMIN}),
        Role.OWNER: frozenset({Scope.ALL, Scope.ADMIN, Scope.OWNER}),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person. `email` is in lower case. `password_hash` is argon2id's own text; None: cannot log in."""

    id: str
    email: str
    name: str
    created_at: float
    password_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user in an organization, or in one of its projects."""

    user: User
    role: Role
    added_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """An offer of membership, sent by mail. `projects` are those that the user will be in, with the role there."""

    id: str
    organization_id: str
    email: str
    role: Role
    projects: Mapping[str, Role]
    # The person and the key that offered it; neither: it was the operator, on the command line.
    inviter_user_id: str | None
    inviter_key_id: str | None
    digest: bytes
    invited_at: float
    expires_at: float
    accepted_at: float | None = None

    def status(self, now: float) -> str:
        """`pending`, `accepted` or `expired`, as OpenAI says it."""
        if self.accepted_at is not None:
            return "accepted"
        return "pending" if now < self.expires_at else "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteRequest:
    """What the inviter says, and who it is."""

    email: str
    role: Role
    projects: Mapping[str, Role]
    user_id: str | None = None
    key_id: str | None = None


def role_scopes(role: Role, *, is_house: bool) -> frozenset[Scope]:
    """What a role may do. The owners of the first organization operate the installation."""
    scopes = _SCOPES[role]
    return scopes | {Scope.OPERATOR} if is_house and role is Role.OWNER else scopes


def reaches_every_project(role: Role) -> bool:
    """Whether the role counts in projects that its bearer is no member of."""
    return role in {Role.ADMIN, Role.OWNER}


def appointing_scope(*roles: Role) -> Scope:
    """What it takes to give these roles, or to take them away: only an owner makes, changes or removes an owner."""
    return Scope.OWNER if Role.OWNER in roles else Scope.ADMIN


def lower(one: Role, other: Role) -> Role:
    """The one that may less: in a project counts the lower of a member's two roles."""
    return min(one, other, key=_ASCENDING.index)


def normal_email(text: str) -> str:
    """The address in lower case. Raises InvalidRequest for what is none."""
    email = text.strip().lower()
    # "=?" begins an encoded word (RFC 2047), out of which mail programs read another address.
    if len(email) > _MAX_EMAIL_CHARACTERS or not _EMAIL.fullmatch(email) or "=?" in email:
        raise InvalidRequest("Invalid 'email': that is no e-mail address.", param="email", code="invalid_value")
    return email
