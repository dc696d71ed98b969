"""Service accounts of projects, and the keys that they get: each verb one unit of work with its entry in the audit log."""

from dataclasses import replace

from parley.core.actor import Actor
from parley.core.pages import Page, PageRequest
from parley.core.principal import Scope
from parley.domain.accounts.model import IssuedKey, KeyRequest, Project, ServiceAccount
from parley.infra.db import Connection, Transaction
from parley.operations.authority import (
    checked_name,
    live_project_of,
    note,
    note_revoked,
    project_of,
    require,
    within_maker,
)
from parley.operations.manage_keys import check_is_projects, state_budget
from parley.operations.records import Records

SERVICE_SCOPES = frozenset({Scope.ALL})


async def create_service_account(
    records: Records,
    actor: Actor,
    project_id: str,
    name: str,
    *,
    with_key: bool = True,
    expires_at: float | None = None,
) -> tuple[ServiceAccount, IssuedKey | None]:
    """A service account and, unless it is to have none yet, its first key, which is shown this once. Raises NotFound."""
    require(actor, Scope.ADMIN)
    name = checked_name(name)

    def work(transaction: Transaction) -> tuple[ServiceAccount, IssuedKey | None]:
        project = live_project_of(records, transaction.connection, actor, project_id)
        account = records.service_accounts.add(transaction, project, name)
        note(records, transaction, actor, "service_account.created", after=account)
        if not with_key:
            return account, None
        wanted = KeyRequest(name=name, scopes=SERVICE_SCOPES, service_account_id=account.id, expires_at=expires_at)
        return account, _issue(records, transaction, actor, project, wanted)

    return await records.database.transaction(work)


async def create_service_account_key(
    records: Records, actor: Actor, project_id: str, account_id: str, request: KeyRequest
) -> IssuedKey:
    """One more key of a service account, called as the account where it gets no name. Raises NotFound, MissingScope, InvalidRequest."""
    require(actor, Scope.ADMIN)
    check_is_projects(request.scopes)

    def work(transaction: Transaction) -> IssuedKey:
        project = live_project_of(records, transaction.connection, actor, project_id)
        account = records.service_accounts.find(transaction.connection, project, account_id)
        wanted = replace(request, name=checked_name(request.name or account.name), service_account_id=account.id)
        return _issue(records, transaction, actor, project, wanted)

    return await records.database.transaction(work)


async def rename_service_account(
    records: Records, actor: Actor, project_id: str, account_id: str, name: str
) -> ServiceAccount:
    """Raises NotFound."""
    require(actor, Scope.ADMIN)
    name = checked_name(name)

    def work(transaction: Transaction) -> ServiceAccount:
        project = live_project_of(records, transaction.connection, actor, project_id)
        account = records.service_accounts.find(transaction.connection, project, account_id)
        renamed = records.service_accounts.rename(transaction, account, name)
        note(records, transaction, actor, "service_account.updated", before=account, after=renamed)
        return renamed

    return await records.database.transaction(work)


async def find_service_account(records: Records, actor: Actor, project_id: str, account_id: str) -> ServiceAccount:
    """Raises NotFound."""

    def work(connection: Connection) -> ServiceAccount:
        project = project_of(records, connection, actor, project_id)
        return records.service_accounts.find(connection, project, account_id)

    return await records.database.read(work)


async def list_service_accounts(
    records: Records, actor: Actor, project_id: str, page: PageRequest
) -> Page[ServiceAccount]:
    """Raises NotFound."""

    def work(connection: Connection) -> Page[ServiceAccount]:
        project = project_of(records, connection, actor, project_id)
        return records.service_accounts.list_of(connection, project, page)

    return await records.database.read(work)


async def delete_service_account(records: Records, actor: Actor, project_id: str, account_id: str) -> None:
    """Forget a service account; its keys no longer count when this returns. Raises NotFound."""
    require(actor, Scope.ADMIN)

    def work(transaction: Transaction) -> None:
        project = live_project_of(records, transaction.connection, actor, project_id)
        account = records.service_accounts.find(transaction.connection, project, account_id)
        note_revoked(records, transaction, actor, records.service_accounts.remove(transaction, account))
        note(records, transaction, actor, "service_account.deleted", before=account)

    await records.database.transaction(work)


def _issue(
    records: Records, transaction: Transaction, actor: Actor, project: Project, request: KeyRequest
) -> IssuedKey:
    issued = records.accounts.issue(transaction, project, within_maker(actor, request))
    state_budget(records, transaction, issued.key)
    note(records, transaction, actor, "api_key.created", after=issued.key)
    return issued
