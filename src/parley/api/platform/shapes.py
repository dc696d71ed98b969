"""From the accounts' own types to the wire, and the few words of the wire back."""

from collections.abc import Sequence

from parley.api.platform.schemas import replies, requests
from parley.core.errors import InvalidRequest
from parley.core.limits import NO_LIMITS, Limits
from parley.core.money import NANO_PER_DOLLAR, to_number
from parley.core.principal import Scope
from parley.domain.accounts.model import IssuedKey, Organization, Project, ServiceAccount
from parley.domain.accounts.people import Invite, Member, Role

_ROLES = {"reader": Role.VIEWER, "member": Role.DEVELOPER}


def to_role(name: str) -> Role:
    """The role that a word of the wire names: ours, or OpenAI's for nearly the same."""
    return _ROLES.get(name) or Role(name)


def to_scopes(names: Sequence[requests.ScopeName]) -> frozenset[Scope]:
    """The scopes that words of the wire name: ours, or OpenAI's for reading alone."""
    return frozenset(Scope.READ if name == "api.all.read" else Scope(name) for name in names)


def to_end(at: int | None, in_seconds: int | None, now: float) -> float | None:
    """When a key shall end, which the wire states in one of two ways; None: in neither. Raises InvalidRequest for both."""
    if at is not None and in_seconds is not None:
        raise InvalidRequest(
            "Invalid 'expires_in_seconds': expected either 'expires_at' or 'expires_in_seconds'.",
            param="expires_in_seconds",
            code="invalid_value",
        )
    return at if in_seconds is None else int(now) + in_seconds


def to_limits(limits: requests.KeyLimits | None) -> Limits:
    """Limits as the wire states them."""
    if limits is None:
        return NO_LIMITS
    return Limits(
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        images_per_minute=limits.images_per_minute,
        audio_minutes_per_minute=limits.audio_minutes_per_minute,
        requests_per_day=limits.requests_per_day,
        tokens_per_day=limits.tokens_per_day,
        concurrent_requests=limits.concurrent_requests,
    )


def to_nano(dollars: float | None) -> int | None:
    """Dollars of the wire as the integer that money is here."""
    return None if dollars is None else round(dollars * NANO_PER_DOLLAR)


def to_dollars(nano: int | None) -> float | None:
    """For display alone."""
    return None if nano is None else to_number(nano)


def project(found: Project) -> replies.Project:
    return replies.Project(
        id=found.id,
        name=found.name,
        created_at=int(found.created_at),
        archived_at=whole(found.archived_at),
        status="active" if found.archived_at is None else "archived",
    )


def user(member: Member) -> replies.User:
    return replies.User(
        id=member.user.id,
        name=member.user.name,
        email=member.user.email,
        role=member.role.value,
        added_at=int(member.added_at),
    )


def project_user(member: Member) -> replies.ProjectUser:
    return replies.ProjectUser(
        id=member.user.id,
        name=member.user.name,
        email=member.user.email,
        role=member.role.value,
        added_at=int(member.added_at),
    )


def service_account(account: ServiceAccount) -> replies.ServiceAccount:
    return replies.ServiceAccount(id=account.id, name=account.name, created_at=int(account.created_at))


def service_account_key(issued: IssuedKey) -> replies.ServiceAccountKey:
    """With its secret."""
    key = issued.key
    return replies.ServiceAccountKey(
        id=key.id,
        name=key.name,
        created_at=int(key.created_at),
        expires_at=whole(key.expires_at),
        value=issued.secret,
    )


def organization(found: Organization) -> replies.Organization:
    return replies.Organization(
        id=found.id, name=found.name, created_at=int(found.created_at), status=found.status.value, tier=found.tier
    )


def invite(found: Invite, now: float) -> replies.Invite:
    """`now` is seconds since the epoch."""
    status = found.status(now)
    return replies.Invite(
        id=found.id,
        email=found.email,
        role=found.role.value,
        status="accepted" if status == "accepted" else "expired" if status == "expired" else "pending",
        created_at=int(found.invited_at),
        invited_at=int(found.invited_at),
        expires_at=int(found.expires_at),
        accepted_at=whole(found.accepted_at),
        projects=[replies.InviteProject(id=key, role=role.value) for key, role in found.projects.items()],
    )


def whole(seconds: float | None) -> int | None:
    """A time as the wire has it, in whole seconds."""
    return None if seconds is None else int(seconds)
