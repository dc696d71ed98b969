"""The accounts' verbs on people: users, members of organizations and projects, invites."""

from collections.abc import Collection
from dataclasses import replace

from parley.core.clock import Clock
from parley.core.errors import InvalidRequest, NotFound
from parley.core.ids import new_id
from parley.core.pages import Page, PageRequest
from parley.domain.accounts.attempts import Attempts
from parley.domain.accounts.entrances import INVITE_SECONDS, new_token
from parley.domain.accounts.model import Key, Organization, OrganizationStatus, Project
from parley.domain.accounts.people import Invite, InviteRequest, Member, Role, User, appointing_scope, role_scopes
from parley.domain.accounts.ring import Ring
from parley.domain.accounts.service import Accounts, check_room
from parley.domain.accounts.standing import principal_of
from parley.domain.accounts.store import entrances, keys, organizations, people
from parley.infra.db import Connection, Transaction

_HOUR = 3_600.0
# Nobody who writes to people that they know needs more. The first organization may invite as many as it will.
MAX_OPEN_INVITES = 100
_MAX_INVITES_AN_HOUR = 50
# To one address, by one organization, and by all of them: none alone keeps the others from inviting it.
_MAX_INVITES_AN_HOUR_FROM_TO = 5
_MAX_INVITES_AN_HOUR_TO_ONE = 20
# Members and open invites: a change of the organization itself, such as its approval, reads them all.
MAX_PEOPLE = 1_000


class Membership:
    """Who belongs where. Every verb works inside the transaction that it is handed."""

    def __init__(self, accounts: Accounts, ring: Ring, clock: Clock) -> None:
        self._accounts = accounts
        self._ring = ring
        self._clock = clock
        self._invites_from = Attempts(clock, most=_MAX_INVITES_AN_HOUR, window_seconds=_HOUR)
        self._invites_from_to = Attempts(clock, most=_MAX_INVITES_AN_HOUR_FROM_TO, window_seconds=_HOUR)
        self._invites_to = Attempts(clock, most=_MAX_INVITES_AN_HOUR_TO_ONE, window_seconds=_HOUR)

    def add_user(self, transaction: Transaction, *, email: str, name: str, password_hash: str | None) -> User:
        """A new user. The caller has seen that the address is nobody's yet."""
        user = User(
            id=new_id("user-"), email=email, name=name, created_at=self._clock.now(), password_hash=password_hash
        )
        people.insert_user(transaction.connection, user)
        return user

    def user_by_email(self, connection: Connection, email: str) -> User | None:
        return people.find_user_by_email(connection, email)

    def users(self, connection: Connection, user_ids: list[str]) -> dict[str, User]:
        """Users by id; those that are unknown are left out."""
        return people.find_users(connection, user_ids)

    def organizations_of(self, connection: Connection, user: User) -> list[tuple[Organization, Role]]:
        """Where the user is a member, the oldest membership first."""
        return [
            (self._accounts.organization(connection, organization_id), role)
            for organization_id, role in people.organizations_of(connection, user.id)
        ]

    def add_member(self, transaction: Transaction, organization_id: str, user: User, role: Role) -> Member:
        """Raises InvalidRequest for one who is a member already."""
        if people.find_member(transaction.connection, organization_id, user.id) is not None:
            raise InvalidRequest("That user is a member of the organization already.", code="already_member")
        member = Member(user=user, role=role, added_at=self._clock.now())
        people.insert_member(transaction.connection, organization_id, member)
        self._accounts.follow_member(transaction, organization_id, user.id)
        return member

    def member(self, connection: Connection, organization_id: str, user_id: str) -> Member:
        """Raises NotFound."""
        found = people.find_member(connection, organization_id, user_id)
        if found is None:
            raise NotFound("No such user.")
        return found

    def list_members(
        self, connection: Connection, organization_id: str, page: PageRequest, *, emails: Collection[str] | None = None
    ) -> Page[Member]:
        return people.list_members(connection, organization_id, page, emails=emails)

    def change_role(self, transaction: Transaction, organization_id: str, member: Member, role: Role) -> Member:
        """Raises InvalidRequest where the organization would have no owner left."""
        self._keep_an_owner(transaction.connection, organization_id, member, role)
        people.set_role(transaction.connection, organization_id, member.user.id, role)
        self._accounts.follow_member(transaction, organization_id, member.user.id)
        return replace(member, role=role)

    def remove_member(self, transaction: Transaction, organization_id: str, member: Member) -> list[Key]:
        """Take a member out: their sessions here end, and their keys here are revoked, which are returned.

        Raises InvalidRequest for the last owner.
        """
        connection = transaction.connection
        self._keep_an_owner(connection, organization_id, member, None)
        revoked = self._accounts.revoke_all(transaction, organization_id, user_id=member.user.id)
        ended = [
            session
            for session in entrances.sessions_of(connection, member.user.id)
            if session.organization_id == organization_id
        ]
        for session in ended:
            entrances.delete_session(connection, session.id)
        people.delete_member(connection, organization_id, member.user.id)
        transaction.on_commit(lambda: self._ring.dismiss(sessions=ended))
        return revoked

    def add_to_project(self, transaction: Transaction, project: Project, member: Member, role: Role) -> Member:
        """Raises InvalidRequest for one who is in it already."""
        if people.find_project_member(transaction.connection, project.id, member.user.id) is not None:
            raise InvalidRequest("That user is a member of the project already.", code="already_member")
        added = Member(user=member.user, role=role, added_at=self._clock.now())
        people.insert_project_member(transaction.connection, project.id, added)
        self._accounts.follow_member(transaction, project.organization_id, member.user.id)
        return added

    def project_member(self, connection: Connection, project: Project, user_id: str) -> Member:
        """Raises NotFound."""
        found = people.find_project_member(connection, project.id, user_id)
        if found is None:
            raise NotFound("No such user.")
        return found

    def list_project_members(self, connection: Connection, project: Project, page: PageRequest) -> Page[Member]:
        return people.list_project_members(connection, project.id, page)

    def change_project_role(self, transaction: Transaction, project: Project, member: Member, role: Role) -> Member:
        people.set_project_role(transaction.connection, project.id, member.user.id, role)
        self._accounts.follow_member(transaction, project.organization_id, member.user.id)
        return replace(member, role=role)

    def remove_from_project(self, transaction: Transaction, project: Project, member: Member) -> None:
        """Take a member out of a project: their keys of it no longer count, unless their role reaches it anyway."""
        people.delete_project_member(transaction.connection, project.id, member.user.id)
        self._accounts.follow_member(transaction, project.organization_id, member.user.id)

    def invite(
        self, transaction: Transaction, organization: Organization, request: InviteRequest
    ) -> tuple[Invite, str]:
        """A new invite, and the token that its mail brings.

        Raises InvalidRequest where too many are open already, and RateLimited where too many were sent, or to this address.
        """
        if not organization.is_house:
            self._check_room(transaction.connection, organization.id)
            self._invites_from.count(organization.id)
            self._invites_from_to.count(f"{organization.id} {request.email}")
            self._invites_to.count(request.email)
        token, now = new_token(), self._clock.now()
        invite = Invite(
            id=new_id("invite-"),
            organization_id=organization.id,
            email=request.email,
            role=request.role,
            projects=request.projects,
            inviter_user_id=request.user_id,
            inviter_key_id=request.key_id,
            digest=self._ring.digest(token),
            invited_at=now,
            expires_at=now + INVITE_SECONDS,
        )
        people.insert_invite(transaction.connection, invite)
        return invite, token

    def find_invite(self, connection: Connection, organization_id: str, invite_id: str) -> Invite:
        """Raises NotFound."""
        found = people.find_invite(connection, organization_id, invite_id)
        if found is None:
            raise NotFound("No such invite.")
        return found

    def invite_of_token(self, connection: Connection, token: str) -> Invite:
        """The invite that may still be accepted. Raises InvalidRequest: unknown, used, expired and void are told alike."""
        found = people.find_invite_by_digest(connection, self._ring.digest(token))
        is_open = found is not None and found.status(self._clock.now()) == "pending"
        if found is None or not is_open or not self._is_still_given(connection, found):
            raise InvalidRequest("This invitation does not count any more. Ask for a new one.", code="invalid_token")
        return found

    def list_invites(self, connection: Connection, organization_id: str, page: PageRequest) -> Page[Invite]:
        return people.list_invites(connection, organization_id, page)

    def accept(self, transaction: Transaction, invite: Invite, user: User) -> Member:
        """Make the user a member of what the invite names; projects that are gone meanwhile are left out."""
        connection = transaction.connection
        people.set_accepted(connection, invite, self._clock.now())
        member = self.add_member(transaction, invite.organization_id, user, invite.role)
        for project_id, role in invite.projects.items():
            project = organizations.find_project(connection, invite.organization_id, project_id)
            if project is not None and project.archived_at is None:
                self.add_to_project(transaction, project, member, role)
        return member

    def withdraw(self, transaction: Transaction, invite: Invite) -> None:
        """Delete an invite, accepted or not."""
        people.delete_invite(transaction.connection, invite.id)

    def _is_still_given(self, connection: Connection, invite: Invite) -> bool:
        """Whether who invites may give at this moment what the invite gives. The operator always may.

        In an organization that is not active nobody else gives anything.
        """
        if invite.inviter_user_id is None and invite.inviter_key_id is None:
            return True
        standing = self._accounts.standing_of(connection, invite.organization_id)
        if standing.organizations[invite.organization_id].status is not OrganizationStatus.ACTIVE:
            return False
        scope = appointing_scope(invite.role, *invite.projects.values())
        if invite.inviter_key_id is None:
            role = standing.roles.get((invite.organization_id, invite.inviter_user_id or ""))
            return role is not None and scope in role_scopes(role, is_house=False)
        key = keys.find_key(connection, invite.inviter_key_id)
        who = None if key is None else principal_of(standing, key)
        if who is None or (who.expires_at is not None and who.expires_at <= self._clock.now()):
            return False
        return who.may(scope)

    def _check_room(self, connection: Connection, organization_id: str) -> None:
        num_open = people.count_open_invites(connection, organization_id, self._clock.now())
        check_room(num_open, MAX_OPEN_INVITES, "open invitations", "Delete one, or wait until one is accepted.")
        num_people = num_open + people.count_members(connection, organization_id)
        check_room(num_people, MAX_PEOPLE, "members and open invitations", "Remove one first.")

    def _keep_an_owner(self, connection: Connection, organization_id: str, member: Member, role: Role | None) -> None:
        is_last = member.role is Role.OWNER and people.count_owners(connection, organization_id) == 1
        if is_last and role is not Role.OWNER:
            raise InvalidRequest("An organization keeps at least one owner.", code="last_owner")
