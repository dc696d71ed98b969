"""What a key or a session may do, given how things stand: pure, and the one place where all of it comes together."""

from collections.abc import Mapping
from dataclasses import dataclass

from parley.core.principal import FAMILIES, Caller, Principal, Scope, closure
from parley.domain.accounts.entrances import Session
from parley.domain.accounts.model import HOUSE_SCOPES, Key, Organization, OrganizationStatus, Project
from parley.domain.accounts.people import Role, lower, reaches_every_project, role_scopes

_RUNS_MODELS = FAMILIES | {Scope.MODEL_REQUEST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things stand: organizations and projects by id, and every role by (organization or project, user)."""

    organizations: Mapping[str, Organization]
    projects: Mapping[str, Project]
    roles: Mapping[tuple[str, str], Role]
    project_roles: Mapping[tuple[str, str], Role]
    # Whether the first organization is metered as well.
    is_house_metered: bool

    def role_in(self, project: Project, user_id: str) -> Role | None:
        """The role that counts for the user in the project; None: it is not theirs."""
        role = self.roles.get((project.organization_id, user_id))
        if role is None or reaches_every_project(role):
            return role
        there = self.project_roles.get((project.id, user_id))
        return None if there is None else lower(role, there)

    def roles_of(self, organization_id: str, user_id: str) -> dict[str, Role]:
        """The projects that are the user's, by id, with the role that counts there; archived ones are nobody's."""
        found = {
            project.id: self.role_in(project, user_id)
            for project in self.projects.values()
            if project.organization_id == organization_id and project.archived_at is None
        }
        return {project_id: role for project_id, role in found.items() if role is not None}

    def is_metered(self, organization: Organization) -> bool:
        """Whether limits and the balance may refuse its requests."""
        return self.is_house_metered or not organization.is_house


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session that counts: its user in each project that is theirs, by id."""

    session: Session
    principals: Mapping[str, Principal]
    # Where no project is named: the oldest of them; without any, a principal that may do nothing in one.
    usual: Principal

    def principal(self, project_id: str | None) -> Principal | None:
        """Who calls, in the project that is named; None: that is not theirs."""
        return self.usual if not project_id else self.principals.get(project_id)


def principal_of(standing: Standing, key: Key) -> Principal | None:
    """Who calls with this key; None: it does not count, whatever the time."""
    organization = standing.organizations.get(key.organization_id)
    project = standing.projects.get(key.project_id)
    if organization is None or project is None or key.revoked_at is not None:
        return None
    if organization.status is not OrganizationStatus.ACTIVE or (project.archived_at is not None and not key.is_admin):
        return None
    scopes = key.scopes if organization.is_house else key.scopes - HOUSE_SCOPES
    project_ids = None if key.is_admin else frozenset({project.id})
    if key.user_id is not None:
        role = standing.roles.get((organization.id, key.user_id))
        there = standing.role_in(project, key.user_id)
        if role is None or (there is None and not key.is_admin):
            return None
        scopes = closure(scopes) & closure(_scopes_in(organization, role, there))
        if key.is_admin and not reaches_every_project(role):
            project_ids = frozenset(standing.roles_of(organization.id, key.user_id))
            # They may make keys in one of their projects and not in another, and this key tells none from the other.
            scopes -= {Scope.KEYS}
    if project.archived_at is not None:
        scopes = closure(scopes) - _RUNS_MODELS - {Scope.ALL}
    return Principal(
        organization_id=key.organization_id,
        project_id=key.project_id,
        key_id=key.id,
        scopes=scopes,
        allowed_models=key.allowed_models,
        user_id=key.user_id,
        service_account_id=key.service_account_id,
        project_ids=project_ids,
        is_metered=standing.is_metered(organization),
        limits=key.limits,
        budget_nano=key.budget_nano,
        expires_at=key.expires_at,
        counted_as=key.counted_as,
    )


def signed_in(standing: Standing, session: Session) -> SignedIn | None:
    """What a session's user may do; None: the user is no member any more."""
    organization = standing.organizations.get(session.organization_id)
    role = standing.roles.get((session.organization_id, session.user_id))
    if organization is None or role is None:
        return None
    is_active = organization.status is OrganizationStatus.ACTIVE
    theirs = standing.roles_of(organization.id, session.user_id)
    project_ids = None if reaches_every_project(role) else frozenset(theirs)

    def principal(project_id: str, scopes: frozenset[Scope]) -> Principal:
        return Principal(
            organization_id=organization.id,
            project_id=project_id,
            key_id=session.id,
            scopes=scopes if is_active else frozenset(),
            user_id=session.user_id,
            project_ids=project_ids,
            is_metered=standing.is_metered(organization),
            expires_at=session.expires_at,
        )

    principals = {
        project_id: principal(project_id, _scopes_in(organization, role, there)) for project_id, there in theirs.items()
    }
    usual = next(iter(principals.values()), None) or principal("", _scopes_in(organization, role, None))
    return SignedIn(session=session, principals=principals, usual=usual)


def _scopes_in(organization: Organization, role: Role, there: Role | None) -> frozenset[Scope]:
    """What a member may in a project where `there` counts; None: the project is not theirs, and nothing is done in it."""
    if there is None:
        return role_scopes(role, is_house=organization.is_house) - {Scope.ALL, Scope.KEYS}
    return role_scopes(there, is_house=organization.is_house)


def ends_work(before: Principal, after: Principal | None, now: float) -> bool:
    """Whether what runs in a principal's name must not go on: it counts no more, or may run less than it might, or fewer models.

    Where its time runs out as it was told, what was let in before is answered.
    """
    if after is None:
        return True
    if after.expires_at != before.expires_at and after.expires_at is not None and after.expires_at <= now:
        return True
    may_use, might_use = after.allowed_models, before.allowed_models
    if may_use is not None and (might_use is None or not might_use <= may_use):
        return True
    # Hardly ever do scopes change, and a closure costs something.
    if after.scopes == before.scopes:
        return False
    return not (closure(before.scopes) - closure(after.scopes)).isdisjoint(_RUNS_MODELS)


def ended_in_session(before: SignedIn, after: SignedIn | None, now: float) -> set[Caller]:
    """In whose names nothing must go on: the same of a session, in each of its projects. Without a project nothing runs."""
    principals = {} if after is None else after.principals
    return {
        who.caller for project_id, who in before.principals.items() if ends_work(who, principals.get(project_id), now)
    }
