"""Projects, their members and their service accounts: each verb one unit of work with its entry in the audit log."""

from dataclasses import replace

from parley.core.actor import Actor
from parley.core.errors import InvalidRequest
from parley.core.pages import Page, PageRequest
from parley.core.principal import Scope
from parley.domain.accounts.model import IssuedKey, KeyRequest, Project, ServiceAccount
from parley.domain.accounts.people import Member, Role
from parley.infra.db import Connection, Transaction
from parley.operations.authority import (
    check_appointment,
    checked_name,
    live_project_of,
    note,
    note_revoked,
    project_of,
    require,
    within_maker,
)
from parley.operations.manage_keys import state_budget
from parley.operations.records import Records

_SERVICE_SCOPES = frozenset({Scope.ALL})


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


async def add_member(records: Records, actor: Actor, project_id: str, user_id: str, role: Role) -> Member:
    """Put a member of the organization into a project. Raises NotFound."""
    check_appointment(actor, role)

    def work(transaction: Transaction) -> Member:
        project = live_project_of(records, transaction.connection, actor, project_id)
        member = records.membership.member(transaction.connection, actor.organization_id, user_id)
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


async def create_service_account(
    records: Records, actor: Actor, project_id: str, name: str
) -> tuple[ServiceAccount, IssuedKey]:
    """A service account with its first key, which is shown this once. Raises NotFound."""
    require(actor, Scope.ADMIN)
    name = checked_name(name)

    def work(transaction: Transaction) -> tuple[ServiceAccount, IssuedKey]:
        project = live_project_of(records, transaction.connection, actor, project_id)
        account = records.accounts.add_service_account(transaction, project, name)
        wanted = KeyRequest(name=name, scopes=_SERVICE_SCOPES, service_account_id=account.id)
        issued = records.accounts.issue(transaction, project, within_maker(actor, wanted))
        state_budget(records, transaction, issued.key)
        note(records, transaction, actor, "service_account.created", after=account)
        note(records, transaction, actor, "api_key.created", after=issued.key)
        return account, issued

    return await records.database.transaction(work)


async def find_service_account(records: Records, actor: Actor, project_id: str, account_id: str) -> ServiceAccount:
    """Raises NotFound."""

    def work(connection: Connection) -> ServiceAccount:
        project = project_of(records, connection, actor, project_id)
        return records.accounts.service_account(connection, project, account_id)

    return await records.database.read(work)


async def list_service_accounts(
    records: Records, actor: Actor, project_id: str, page: PageRequest
) -> Page[ServiceAccount]:
    """Raises NotFound."""

    def work(connection: Connection) -> Page[ServiceAccount]:
        project = project_of(records, connection, actor, project_id)
        return records.accounts.list_service_accounts(connection, project, page)

    return await records.database.read(work)


async def delete_service_account(records: Records, actor: Actor, project_id: str, account_id: str) -> None:
    """Forget a service account; its keys no longer count when this returns. Raises NotFound."""
    require(actor, Scope.ADMIN)

    def work(transaction: Transaction) -> None:
        project = live_project_of(records, transaction.connection, actor, project_id)
        account = records.accounts.service_account(transaction.connection, project, account_id)
        note_revoked(records, transaction, actor, records.accounts.remove_service_account(transaction, account))
        note(records, transaction, actor, "service_account.deleted", before=account)

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
