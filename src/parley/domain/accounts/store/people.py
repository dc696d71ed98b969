"""SQL on users, members and invites."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from sqlalchemy import Connection, Row, Select, Table, func, select, update

from parley.core.pages import Page, PageRequest, page_of
from parley.domain.accounts.people import Invite, Member, Role, User
from parley.domain.accounts.store.paging import Order, paged
from parley.domain.accounts.store.tables import invites, is_used, members, project_members, projects, users


def insert_user(connection: Connection, user: User) -> None:
    connection.execute(
        users.insert().values(
            id=user.id,
            email=user.email,
            name=user.name,
            password_hash=user.password_hash,
            created_at=user.created_at,
        )
    )


def find_user(connection: Connection, user_id: str) -> User | None:
    row = connection.execute(select(users).where(users.c.id == user_id)).first()
    return None if row is None else _user(row)


def find_user_by_email(connection: Connection, email: str) -> User | None:
    row = connection.execute(select(users).where(users.c.email == email)).first()
    return None if row is None else _user(row)


def find_users(connection: Connection, user_ids: Iterable[str]) -> dict[str, User]:
    """Users by id; those that are unknown are left out."""
    rows = connection.execute(select(users).where(users.c.id.in_(sorted(set(user_ids)))))
    return {row.id: _user(row) for row in rows}


def set_password(connection: Connection, user_id: str, password_hash: str) -> None:
    connection.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))


def insert_member(connection: Connection, organization_id: str, member: Member) -> None:
    connection.execute(
        members.insert().values(
            organization_id=organization_id, user_id=member.user.id, role=member.role.value, added_at=member.added_at
        )
    )


def find_member(connection: Connection, organization_id: str, user_id: str) -> Member | None:
    query = _joined(members).where(members.c.organization_id == organization_id, members.c.user_id == user_id)
    row = connection.execute(query).first()
    return None if row is None else _member(row)


def list_members(
    connection: Connection, organization_id: str, page: PageRequest, *, emails: Collection[str] | None = None
) -> Page[Member]:
    query = _joined(members).where(members.c.organization_id == organization_id)
    shown = None if emails is None else users.c.email.in_(emails)
    query = paged(connection, query, _of_members(members), page, shown=shown)
    return page_of([_member(row) for row in connection.execute(query)], page.limit)


def organizations_of(connection: Connection, user_id: str) -> list[tuple[str, Role]]:
    """Where the user is a member, the oldest membership first."""
    query = select(members).where(members.c.user_id == user_id).order_by(members.c.added_at, members.c.organization_id)
    return [(row.organization_id, Role(row.role)) for row in connection.execute(query)]


def set_role(connection: Connection, organization_id: str, user_id: str, role: Role) -> None:
    connection.execute(
        update(members)
        .where(members.c.organization_id == organization_id, members.c.user_id == user_id)
        .values(role=role.value)
    )


def delete_member(connection: Connection, organization_id: str, user_id: str) -> None:
    """Take the user out of the organization and of its projects."""
    own = select(projects.c.id).where(projects.c.organization_id == organization_id)
    connection.execute(
        project_members.delete().where(
            project_members.c.user_id == user_id, project_members.c.project_id.in_(own.scalar_subquery())
        )
    )
    connection.execute(
        members.delete().where(members.c.organization_id == organization_id, members.c.user_id == user_id)
    )


def count_owners(connection: Connection, organization_id: str) -> int:
    return connection.execute(
        select(func.count())
        .select_from(members)
        .where(members.c.organization_id == organization_id, members.c.role == Role.OWNER.value)
    ).scalar_one()


def count_members(connection: Connection, organization_id: str) -> int:
    return connection.execute(
        select(func.count()).select_from(members).where(members.c.organization_id == organization_id)
    ).scalar_one()


def count_open_invites(connection: Connection, organization_id: str, now: float) -> int:
    """The invites that may still be accepted."""
    return connection.execute(
        select(func.count())
        .select_from(invites)
        .where(
            invites.c.organization_id == organization_id, invites.c.accepted_at.is_(None), invites.c.expires_at > now
        )
    ).scalar_one()


def insert_project_member(connection: Connection, project_id: str, member: Member) -> None:
    connection.execute(
        project_members.insert().values(
            project_id=project_id, user_id=member.user.id, role=member.role.value, added_at=member.added_at
        )
    )


def find_project_member(connection: Connection, project_id: str, user_id: str) -> Member | None:
    query = _joined(project_members).where(
        project_members.c.project_id == project_id, project_members.c.user_id == user_id
    )
    row = connection.execute(query).first()
    return None if row is None else _member(row)


def list_project_members(connection: Connection, project_id: str, page: PageRequest) -> Page[Member]:
    query = _joined(project_members).where(project_members.c.project_id == project_id)
    query = paged(connection, query, _of_members(project_members), page)
    return page_of([_member(row) for row in connection.execute(query)], page.limit)


def set_project_role(connection: Connection, project_id: str, user_id: str, role: Role) -> None:
    connection.execute(
        update(project_members)
        .where(project_members.c.project_id == project_id, project_members.c.user_id == user_id)
        .values(role=role.value)
    )


def delete_project_member(connection: Connection, project_id: str, user_id: str) -> None:
    connection.execute(
        project_members.delete().where(project_members.c.project_id == project_id, project_members.c.user_id == user_id)
    )


def roles(
    connection: Connection, organization_id: str | None = None, user_ids: Collection[str] | None = None
) -> dict[tuple[str, str], Role]:
    """(organization, user) -> role, of the organization or of all, of these people or of all."""
    query = select(members)
    if user_ids is not None:
        query = query.where(members.c.user_id.in_(user_ids))
    if organization_id is not None:
        query = query.where(members.c.organization_id == organization_id)
    return {(row.organization_id, row.user_id): Role(row.role) for row in connection.execute(query)}


def project_roles(
    connection: Connection, organization_id: str | None, user_ids: Collection[str] | None, now: float
) -> dict[tuple[str, str], Role]:
    """(project, user) -> role, in the projects of the organization or in all that are used, of these people or of all."""
    query = select(project_members).join(projects, projects.c.id == project_members.c.project_id).where(is_used(now))
    if user_ids is not None:
        query = query.where(project_members.c.user_id.in_(user_ids))
    if organization_id is not None:
        query = query.where(projects.c.organization_id == organization_id)
    return {(row.project_id, row.user_id): Role(row.role) for row in connection.execute(query)}


def insert_invite(connection: Connection, invite: Invite) -> None:
    connection.execute(
        invites.insert().values(
            id=invite.id,
            organization_id=invite.organization_id,
            email=invite.email,
            role=invite.role.value,
            projects={project_id: role.value for project_id, role in invite.projects.items()},
            inviter_user_id=invite.inviter_user_id,
            inviter_key_id=invite.inviter_key_id,
            digest=invite.digest,
            invited_at=invite.invited_at,
            expires_at=invite.expires_at,
            accepted_at=invite.accepted_at,
        )
    )


def find_invite(connection: Connection, organization_id: str, invite_id: str) -> Invite | None:
    query = select(invites).where(invites.c.id == invite_id, invites.c.organization_id == organization_id)
    row = connection.execute(query).first()
    return None if row is None else _invite(row)


def find_invite_by_digest(connection: Connection, digest: bytes) -> Invite | None:
    row = connection.execute(select(invites).where(invites.c.digest == digest)).first()
    return None if row is None else _invite(row)


def list_invites(connection: Connection, organization_id: str, page: PageRequest) -> Page[Invite]:
    query = select(invites).where(invites.c.organization_id == organization_id)
    query = paged(connection, query, Order(table=invites, time="invited_at"), page)
    return page_of([_invite(row) for row in connection.execute(query)], page.limit)


def set_accepted(connection: Connection, invite: Invite, accepted_at: float) -> Invite:
    connection.execute(update(invites).where(invites.c.id == invite.id).values(accepted_at=accepted_at))
    return replace(invite, accepted_at=accepted_at)


def delete_invite(connection: Connection, invite_id: str) -> None:
    connection.execute(invites.delete().where(invites.c.id == invite_id))


def _joined(table: Table) -> Select[tuple[object, ...]]:
    return select(users, table.c.role, table.c.added_at, table.c.user_id).join(table, table.c.user_id == users.c.id)


def _of_members(table: Table) -> Order:
    return Order(table=table, time="added_at", key="user_id")


def _member(row: Row[tuple[object, ...]]) -> Member:
    return Member(user=_user(row), role=Role(row.role), added_at=row.added_at)


def _user(row: Row[tuple[object, ...]]) -> User:
    return User(id=row.id, email=row.email, name=row.name, created_at=row.created_at, password_hash=row.password_hash)


def _invite(row: Row[tuple[object, ...]]) -> Invite:
    return Invite(
        id=row.id,
        organization_id=row.organization_id,
        email=row.email,
        role=Role(row.role),
        projects={project_id: Role(role) for project_id, role in row.projects.items()},
        inviter_user_id=row.inviter_user_id,
        inviter_key_id=row.inviter_key_id,
        digest=row.digest,
        invited_at=row.invited_at,
        expires_at=row.expires_at,
        accepted_at=row.accepted_at,
    )
