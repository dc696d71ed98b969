"""Projects and their members: each verb one unit of work with its entry in the audit log."""

from dataclasses import replace

from parley.core.actor import Actor
from parley.core.errors import InvalidRequest, NotFound
from parley.core.pages import Page, PageRequest
from parley.core.principal import Scope
from parley.domain.accounts.model import Project
from parley.domain.accounts.people import Member, Role, normal_email
from parley.infra.db import Connection, Transaction
from parley.operations.authority import (
    check_appointment,
    checked_name,
    live_project_of,
    note,
    project_of,
    require,
)
from parley.operations.records import Records


async def create_project(records: Records, actor: Actor, name: str) -> Project:
    """A new project of the actor's organization."""
    require(actor, Scope.ADMIN)
    name = checked_name(name)

    def work(transaction: Transaction) -> Project:
        project = records.accounts.add_project(transaction, actor.organization_id, name)
        note(records, transaction, actor, "project.created", after=project)
        return project

    return await records.database.transaction(work)


async def find_project(records: Records, actor: Actor, project_id: str) -> Project:
    """Raises NotFound."""
    return await records.database.read(lambda connection: project_of(records, connection, actor, project_id))


async def list_projects(records: Records, actor: Actor, page: PageRequest, *, includes_archived: bool) -> Page[Project]:
    """The organization's projects that the actor reaches."""
    return await records.database.read(
        lambda connection: records.accounts.list_projects(
            connection,
            actor.organization_id,
            page,
            project_ids=actor.principal.project_ids,
            includes_archived=includes_archived,
        )
    )


async def rename_project(records: Records, actor: Actor, project_id: str, name: str) -> Project:
    """Raises NotFound."""
    name = checked_name(name)

    def work(transaction: Transaction) -> Project:
        project = live_project_of(records, transaction.connection, actor, project_id)
        renamed = replace(project, name=name)
        records.accounts.change_project(transaction, renamed)
        note(records, transaction, actor, "project.updated", before=project, after=renamed)
        return renamed

    return await records.database.transaction(work)


async def archive_project(records: Records, actor: Actor, project_id: str) -> Project:
    """End a project: its keys no longer count when this returns. Raises NotFound, and InvalidRequest for the operator's last."""

    def work(transaction: Transaction) -> Project:
        project = live_project_of(records, transaction.connection, actor, project_id)
        if records.accounts.is_last_of_house(transaction.connection, project):
            raise InvalidRequest(
                "The first organization keeps a project: the operator's keys are made in it.", code="last_project"
            )
        archived = replace(project, archived_at=records.clock.now())
        records.accounts.change_project(transaction, archived)
        note(records, transaction, actor, "project.archived", before=project, after=archived)
        return archived

    return await records.database.transaction(work)


async def list_members(records: Records, actor: Actor, project_id: str, page: PageRequest) -> Page[Member]:
    """Who was put into the project; admins and owners reach it besides. Raises NotFound."""

    def work(connection: Connection) -> Page[Member]:
        project = project_of(records, connection, actor, project_id)
        return records.membership.list_project_members(connection, project, page)

    return await records.database.read(work)


async def find_member(records: Records, actor: Actor, project_id: str, user_id: str) -> Member:
    """Raises NotFound."""

    def work(connection: Connection) -> Member:
        project = project_of(records, connection, actor, project_id)
        return records.membership.project_member(connection, project, user_id)

    return await records.database.read(work)


async def add_member(
    records: Records, actor: Actor, project_id: str, *, user_id: str | None = None, email: str | None = None, role: Role
) -> Member:
    """Put a member of the organization, by id or by e-mail address, into a project. Raises NotFound, InvalidRequest."""
    check_appointment(actor, role)
    email = None if email is None else normal_email(email)

    def work(transaction: Transaction) -> Member:
        connection = transaction.connection
        project = live_project_of(records, connection, actor, project_id)
        user = None if email is None else records.membership.user_by_email(connection, email)
        if email is not None and user is None:
            raise NotFound("No such user.")
        member = records.membership.member(connection, actor.organization_id, user_id or (user.id if user else ""))
        added = records.membership.add_to_project(transaction, project, member, role)
        note(records, transaction, actor, "project.user.added", after=_seen(project, added))
        return added

    return await records.database.transaction(work)


async def change_member(records: Records, actor: Actor, project_id: str, user_id: str, role: Role) -> Member:
    """Give a member of a project another role there. Raises NotFound."""

    def work(transaction: Transaction) -> Member:
        project = live_project_of(records, transaction.connection, actor, project_id)
        member = records.membership.project_member(transaction.connection, project, user_id)
        check_appointment(actor, member.role, role)
        changed = records.membership.change_project_role(transaction, project, member, role)
        note(
            records,
            transaction,
            actor,
            "project.user.updated",
            before=_seen(project, member),
            after=_seen(project, changed),
        )
        return changed

    return await records.database.transaction(work)


async def remove_member(records: Records, actor: Actor, project_id: str, user_id: str) -> None:
    """Take a member out of a project. Raises NotFound."""

    def work(transaction: Transaction) -> None:
        project = live_project_of(records, transaction.connection, actor, project_id)
        member = records.membership.project_member(transaction.connection, project, user_id)
        check_appointment(actor, member.role)
        records.membership.remove_from_project(transaction, project, member)
        note(records, transaction, actor, "project.user.deleted", before=_seen(project, member))

    await records.database.transaction(work)


def _seen(project: Project, member: Member) -> dict[str, object]:
    """A membership as the audit log shows it."""
    return {
        "id": member.user.id,
        "organization_id": project.organization_id,
        "project_id": project.id,
        "email": member.user.email,
        "role": member.role.value,
    }
