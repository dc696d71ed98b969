"""The accounts' verbs on service accounts: programs of a project, whose keys end with them."""

from dataclasses import replace

from parley.core.clock import Clock
from parley.core.errors import NotFound
from parley.core.ids import new_id
from parley.core.pages import Page, PageRequest
from parley.domain.accounts.model import Key, Project, ServiceAccount
from parley.domain.accounts.service import Accounts
from parley.domain.accounts.store import organizations
from parley.infra.db import Connection, Transaction


class ServiceAccounts:
    """Beside `Accounts`, which has the keys."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    def add(self, transaction: Transaction, project: Project, name: str) -> ServiceAccount:
        """A new one, which has no key yet."""
        account = ServiceAccount(
            id=new_id("svc_acct_"),
            organization_id=project.organization_id,
            project_id=project.id,
            name=name,
            created_at=self._clock.now(),
        )
        organizations.insert_service_account(transaction.connection, account)
        return account

    def find(self, connection: Connection, project: Project, account_id: str) -> ServiceAccount:
        """Raises NotFound."""
        found = organizations.find_service_account(connection, project.id, account_id)
        if found is None:
            raise NotFound("No such service account.")
        return found

    def by_id(self, connection: Connection, account_ids: list[str]) -> dict[str, ServiceAccount]:
        """Service accounts by id; those that are unknown are left out."""
        return organizations.find_service_accounts(connection, account_ids)

    def list_of(self, connection: Connection, project: Project, page: PageRequest) -> Page[ServiceAccount]:
        """Those of a project."""
        return organizations.list_service_accounts(connection, project.id, page)

    def rename(self, transaction: Transaction, account: ServiceAccount, name: str) -> ServiceAccount:
        """Its keys stay as they are."""
        organizations.rename_service_account(transaction.connection, account.id, name)
        return replace(account, name=name)

    def remove(self, transaction: Transaction, account: ServiceAccount) -> tuple[Key, ...]:
        """Forget it, and revoke its keys, which are returned."""
        organizations.delete_service_account(transaction.connection, account.id)
        return tuple(self._accounts.revoke_all(transaction, account.organization_id, service_account_id=account.id))
