"""The accounts' verbs on organizations, projects, service accounts and keys."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from parley.core.clock import Clock
from parley.core.errors import InvalidRequest, NotFound
from parley.core.ids import new_id
from parley.core.limits import FREE_TIER, PAID_TIER
from parley.core.pages import Page, PageRequest
from parley.core.principal import Principal
from parley.domain.accounts.entrances import Session
from parley.domain.accounts.key_shape import new_secret
from parley.domain.accounts.model import (
    IssuedKey,
    Key,
    KeyRequest,
    Organization,
    OrganizationStatus,
    Project,
)
from parley.domain.accounts.ring import Ring
from parley.domain.accounts.standing import Standing
from parley.domain.accounts.store import entrances, keys, organizations, people
from parley.domain.accounts.store.names import all_names
from parley.infra.db import Connection, Transaction

# Of an organization that is not the first one. Some of its changes read all of them on the one thread that writes.
MAX_PROJECTS = 100
MAX_KEYS = 1_000
# Of those that came one in another's place, at once: what bounds one of them is written into all. Everybody's.
MAX_COUNTED_TOGETHER = 8


def check_room(num: int, most: int, what: str, remedy: str) -> None:
    """Raises InvalidRequest where an organization has as many of something as it may have."""
    if num >= most:
        raise InvalidRequest(f"An organization has at most {most} {what}. {remedy}", code="limit_reached")


class Accounts:
    """Organizations, projects and keys in the database. Every verb works inside the transaction that it is handed."""

    def __init__(self, ring: Ring, clock: Clock, *, is_house_metered: bool = False) -> None:
        self._ring = ring
        self._clock = clock
        self._is_house_metered = is_house_metered

    def is_empty(self, connection: Connection) -> bool:
        """Whether no organization exists: nothing has been started on this database."""
        return organizations.count_organizations(connection) == 0

    def house_id(self, connection: Connection) -> str | None:
        """The organization of the first start, which operates the installation; None before there is one."""
        return organizations.find_house_id(connection)

    def found(
        self,
        transaction: Transaction,
        name: str,
        *,
        is_house: bool = False,
        status: OrganizationStatus = OrganizationStatus.ACTIVE,
    ) -> Project:
        """Make an organization with its first project, which is returned."""
        now = self._clock.now()
        organization = Organization(
            id=new_id("org-"),
            name=name,
            created_at=now,
            is_house=is_house,
            status=status,
            # For the case that the operator has the first organization metered: who operates the installation is no trial.
            tier=PAID_TIER if is_house else FREE_TIER,
        )
        organizations.insert_organization(transaction.connection, organization)
        return self.add_project(transaction, organization.id, "Default project")

    def organization(self, connection: Connection, organization_id: str) -> Organization:
        """Raises NotFound."""
        found = organizations.find_organization(connection, organization_id)
        if found is None:
            raise NotFound("No such organization.")
        return found

    def list_organizations(self, connection: Connection, page: PageRequest) -> Page[Organization]:
        return organizations.list_organizations(connection, page)

    def all_organizations(self, connection: Connection) -> list[Organization]:
        return organizations.all_organizations(connection)

    def change_organization(self, transaction: Transaction, organization: Organization) -> None:
        """Store its name, status and tier; its keys and sessions follow."""
        connection = transaction.connection
        organizations.update_organization(connection, organization)
        live, sessions = (
            keys.followed_keys(connection, self._clock.now(), organization.id),
            entrances.all_sessions(connection, organization.id),
        )
        standing = self._standing(connection, organization.id, _people(live, sessions))
        transaction.on_commit(lambda: self._ring.replace(organization.id, standing, live, sessions))

    def add_project(self, transaction: Transaction, organization_id: str, name: str) -> Project:
        """A new project; the sessions of those who reach every project see it at once. Raises InvalidRequest for too many."""
        if not self.organization(transaction.connection, organization_id).is_house:
            num = organizations.count_projects(transaction.connection, organization_id)
            check_room(num, MAX_PROJECTS, "projects that are not archived", "Archive one first.")
        project = Project(id=new_id("proj_"), organization_id=organization_id, name=name, created_at=self._clock.now())
        organizations.insert_project(transaction.connection, project)
        self._follow_project(transaction, project)
        return project

    def default_project(self, connection: Connection, organization_id: str | None) -> Project:
        """The oldest project of an organization that is not archived. Raises NotFound."""
        project = None if organization_id is None else organizations.first_project(connection, organization_id)
        if project is None:
            raise NotFound("There is no project yet.")
        return project

    def project(self, connection: Connection, organization_id: str, project_id: str) -> Project:
        """The organization's project. Raises NotFound, in the same words for one that is another's."""
        found = organizations.find_project(connection, organization_id, project_id)
        if found is None:
            raise NotFound("No such project.")
        return found

    def any_project(self, connection: Connection, project_id: str) -> Project:
        """A project of whatever organization: for the installation's operator. Raises NotFound."""
        found = organizations.find_any_project(connection, project_id)
        if found is None:
            raise NotFound("No such project.")
        return found

    def list_projects(
        self,
        connection: Connection,
        organization_id: str,
        page: PageRequest,
        *,
        project_ids: frozenset[str] | None,
        includes_archived: bool,
    ) -> Page[Project]:
        """Projects of the organization; only those of `project_ids` where it is given."""
        return organizations.list_projects(
            connection, organization_id, page, project_ids=project_ids, includes_archived=includes_archived
        )

    def change_project(self, transaction: Transaction, project: Project) -> None:
        """Store its name and end; with the end its keys no longer count."""
        before = self.project(transaction.connection, project.organization_id, project.id)
        organizations.update_project(transaction.connection, project)
        if project.archived_at != before.archived_at:
            self._follow_project(transaction, project)

    def issue(
        self, transaction: Transaction, project: Project, request: KeyRequest, *, secret: str | None = None
    ) -> IssuedKey:
        """Make a key of `project`: a fresh one, or the `secret` that the operator chose. It counts once it is durable.

        Raises InvalidRequest where the organization has too many.
        """
        if not self.organization(transaction.connection, project.organization_id).is_house:
            num = keys.count_followed_keys(transaction.connection, project.organization_id, self._clock.now())
            check_room(num, MAX_KEYS, "keys that are neither revoked nor ended a day ago", "Revoke one first.")
        secret = new_secret() if secret is None else secret
        key = Key(
            id=new_id("key_"),
            organization_id=project.organization_id,
            project_id=project.id,
            name=request.name,
            digest=self._ring.digest(secret),
            last_four=secret[-4:],
            scopes=request.scopes,
            allowed_models=request.allowed_models,
            created_at=self._clock.now(),
            expires_at=request.expires_at,
            user_id=request.user_id,
            service_account_id=request.service_account_id,
            limits=request.limits,
            budget_nano=request.budget_nano,
            counted_as=request.counted_as,
        )
        keys.insert_key(transaction.connection, key)
        self._follow(transaction, key.organization_id, [key])
        return IssuedKey(key=key, secret=secret)

    def change_keys(self, transaction: Transaction, changed: list[Key]) -> None:
        """Store what may change of keys of one organization; they count so from now on."""
        for key in changed:
            keys.update_key(transaction.connection, key)
        self._follow(transaction, changed[0].organization_id, changed)

    def revoke(self, transaction: Transaction, key: Key) -> Key:
        """Let a key no longer count. Revoking it again changes nothing."""
        if key.revoked_at is not None:
            return key
        revoked = replace(key, revoked_at=self._clock.now())
        keys.set_revoked(transaction.connection, key.id, self._clock.now())
        transaction.on_commit(lambda: self._ring.dismiss([key]))
        return revoked

    def revoke_all(
        self,
        transaction: Transaction,
        organization_id: str,
        *,
        user_id: str | None = None,
        service_account_id: str | None = None,
    ) -> list[Key]:
        """Revoke what a person or a service account has. Those are returned that are not over for longer than a day."""
        connection, now = transaction.connection, self._clock.now()
        whose = {"user_id": user_id, "service_account_id": service_account_id}
        revoked = [
            self.revoke(transaction, key) for key in keys.followed_keys(connection, now, organization_id, **whose)
        ]
        keys.revoke_rest(connection, now, organization_id, **whose)
        self._dismiss_rest(transaction, _of(organization_id, **whose), [])
        return revoked

    def key(self, connection: Connection, key_id: str, *, organization_id: str | None = None) -> Key:
        """The key, of the organization where one is named. Raises NotFound."""
        found = keys.find_key(connection, key_id)
        if found is None or organization_id not in {None, found.organization_id}:
            raise NotFound("No such key.")
        return found

    def counted_with(self, connection: Connection, key: Key) -> list[Key]:
        """The other keys that are neither revoked nor over and share their limits and their budget with this one."""
        found = keys.keys_counted_as(connection, key.organization_id, key.spender, self._clock.now())
        return [other for other in found if other.id != key.id]

    def key_of_secret(self, connection: Connection, secret: str) -> Key | None:
        """The key whose secret this is."""
        return keys.find_by_digest(connection, self._ring.digest(secret))

    def all_keys(self, connection: Connection) -> list[Key]:
        """Every key, the oldest first, revoked ones too."""
        return keys.all_keys(connection)

    def list_keys(
        self, connection: Connection, organization_id: str, page: PageRequest, *, project_id: str | None
    ) -> Page[Key]:
        """The keys that are not revoked: of the project, or, where it is None, the organization's admin keys."""
        return keys.list_keys(connection, organization_id, page, project_id=project_id)

    def names(self, connection: Connection, organization_id: str | None) -> dict[str, str]:
        """What organizations, projects, keys and people are called, by id; None: those of every organization."""
        return all_names(connection, organization_id)

    def note_used(self, transaction: Transaction, times: dict[str, float]) -> None:
        """Keep when keys were last used."""
        keys.set_last_used(transaction.connection, times)

    def follow_member(self, transaction: Transaction, organization_id: str, user_id: str) -> None:
        """Let the keys and sessions of a member count as the database says, once this is committed."""
        connection = transaction.connection
        live = keys.followed_keys(connection, self._clock.now(), organization_id, user_id=user_id)
        sessions = [
            session
            for session in entrances.sessions_of(connection, user_id)
            if session.organization_id == organization_id
        ]
        self._dismiss_rest(transaction, _of(organization_id, user_id=user_id), live)
        self._follow(transaction, organization_id, live, sessions)

    def follow_session(self, transaction: Transaction, session: Session) -> None:
        """Let a session count, once this is committed."""
        self._follow(transaction, session.organization_id, [], [session])

    def fill(self, connection: Connection) -> None:
        """Let every key and session count that the database has: at the start, before anybody asks."""
        self._filling(connection)()

    def fill_again(self, transaction: Transaction) -> None:
        """The same while others ask and change: for when the clock was set back, by which keys were over that are not."""
        transaction.on_commit(self._filling(transaction.connection))

    def is_last_of_house(self, connection: Connection, project: Project) -> bool:
        """Whether the first organization would have no project left without this one."""
        is_house = self.organization(connection, project.organization_id).is_house
        return is_house and organizations.count_projects(connection, project.organization_id) == 1

    def standing_of(self, connection: Connection, organization_id: str) -> Standing:
        """How things stand in one organization."""
        return self._standing(connection, organization_id)

    def keys_of_the_gone(self, connection: Connection, found: Sequence[Key]) -> frozenset[str]:
        """Of keys of one organization those, by id, whose person does not reach the key's project any more."""
        standing = self._standing(connection, found[0].organization_id, _people(found, ()))

        def is_gone(key: Key) -> bool:
            # What is archived and has only keys that are over is not among the projects, and nobody reaches it.
            project = standing.projects.get(key.project_id)
            return key.user_id is not None and (project is None or standing.role_in(project, key.user_id) is None)

        return frozenset(key.id for key in found if is_gone(key))

    def _filling(self, connection: Connection) -> Callable[[], None]:
        """What is to be done for the ring to be as the database is now."""
        standing, sessions = self._standing(connection, None), entrances.all_sessions(connection)
        live = keys.followed_keys(connection, self._clock.now())
        return lambda: self._ring.replace(None, standing, live, sessions)

    def _follow_project(self, transaction: Transaction, project: Project) -> None:
        """Its keys, and all that reaches beyond one project."""
        connection, organization_id = transaction.connection, project.organization_id
        live = keys.followed_keys(connection, self._clock.now(), organization_id, project_id=project.id)
        self._dismiss_rest(transaction, lambda who: who.project_id == project.id, live)
        self._follow(transaction, organization_id, live, entrances.all_sessions(connection, organization_id))

    def _follow(
        self, transaction: Transaction, organization_id: str, live: list[Key], sessions: Sequence[Session] = ()
    ) -> None:
        """Only what a change concerns is read again: others wait for the thread that does it."""
        standing = self._standing(transaction.connection, organization_id, _people(live, sessions))
        transaction.on_commit(lambda: self._ring.follow(standing, live, sessions))

    def _dismiss_rest(self, transaction: Transaction, is_theirs: Callable[[Principal], bool], live: list[Key]) -> None:
        transaction.on_commit(lambda: self._ring.dismiss_rest(is_theirs, live))

    def _standing(
        self, connection: Connection, organization_id: str | None, user_ids: frozenset[str] | None = None
    ) -> Standing:
        """How things stand in an organization, or in all; with `user_ids` the roles of these people alone."""
        now = self._clock.now()
        if organization_id is None:
            found = organizations.all_organizations(connection)
        else:
            found = [self.organization(connection, organization_id)]
        return Standing(
            organizations={organization.id: organization for organization in found},
            projects={project.id: project for project in organizations.used_projects(connection, organization_id, now)},
            roles=people.roles(connection, organization_id, user_ids),
            project_roles=people.project_roles(connection, organization_id, user_ids, now),
            is_house_metered=self._is_house_metered,
        )


def _of(
    organization_id: str, *, user_id: str | None = None, service_account_id: str | None = None
) -> Callable[[Principal], bool]:
    """Whether a key is this person's or service account's."""

    def is_theirs(who: Principal) -> bool:
        if who.organization_id != organization_id:
            return False
        return who.user_id == user_id if user_id is not None else who.service_account_id == service_account_id

    return is_theirs


def _people(live: Sequence[Key], sessions: Sequence[Session]) -> frozenset[str]:
    """Whose keys and sessions these are."""
    owners = {key.user_id for key in live if key.user_id is not None}
    return frozenset(owners | {session.user_id for session in sessions})
