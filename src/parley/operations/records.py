"""Everything that is kept, opened together: the folder's lock, the database, the accounts, the records, the catalog."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import parley.bundled
from parley.core.clock import Clock
from parley.core.template import TEMPLATE_NAMES
from parley.domain.accounts.doors import Doors
from parley.domain.accounts.membership import Membership
from parley.domain.accounts.ring import Ring
from parley.domain.accounts.service import Accounts
from parley.domain.accounts.service_accounts import ServiceAccounts
from parley.domain.audit.service import AuditLog
from parley.domain.billing.service import Billing
from parley.domain.catalog.model import Contents, Places
from parley.domain.catalog.service import Catalog, CatalogFiles
from parley.domain.catalog.verified import VerifiedFiles
from parley.domain.idempotency.service import Replies
from parley.domain.limits.counters import ProcessCounters
from parley.domain.limits.service import RateLimits
from parley.domain.limits.tiers import read_tiers
from parley.domain.usage.service import UsageRecords
from parley.infra.db import Connection, Database, Transaction
from parley.infra.folder import DataFolder, exclusive_lock
from parley.infra.mail import MailRoom, mail_room
from parley.infra.settings import Settings
from parley.infra.storage import StorageWatch
from parley.operations.founding import Founding
from parley.operations.settlements import Settlements, settle_orphans

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What is kept, open and owned by this process alone."""

    folder: DataFolder
    database: Database
    keys: Ring
    accounts: Accounts
    membership: Membership
    service_accounts: ServiceAccounts
    doors: Doors
    audit: AuditLog
    rates: RateLimits
    mail: MailRoom
    usage: UsageRecords
    billing: Billing
    settlements: Settlements
    replies: Replies
    catalog: Catalog
    catalog_files: CatalogFiles
    # Held by whoever changes the catalog: its file is read, edited and replaced whole.
    catalog_turn: asyncio.Lock
    clock: Clock
    # Of a database that is a file; what disk PostgreSQL has is its own affair.
    storage: StorageWatch | None

    async def put_in_force(self, contents: Contents) -> None:
        """Serve by these contents of the catalog, once their prices are kept: no request is charged by one that is not.

        Raises Overloaded, DatabaseFailed; what was served before is served on then.
        """
        await self.keep_prices(contents)
        self.catalog.replace(contents)

    async def keep_prices(self, contents: Contents) -> None:
        """Keep the prices of contents that are to be in force. Raises Overloaded, DatabaseFailed."""
        await self.database.transaction(lambda unit: self.billing.keep_prices(unit, contents.snapshots.values()))

    def check_room(self) -> None:
        """Raises Overloaded where nothing new is taken for want of room, which is left for settlements, or while the database does
        not answer."""
        self.database.check()
        if self.storage is not None:
            self.storage.check()


@asynccontextmanager
async def open_records(settings: Settings, clock: Clock) -> AsyncIterator[Records]:
    """Lock the data folder and open what is in it. The first start makes what is missing.

    Raises DataFolderError, DatabaseRefused or CatalogError, each one line for the operator; nothing was changed then.
    """
    folder = DataFolder(settings.data)
    folder.prepare()
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.lock())
        place = settings.database_place
        if isinstance(place, Path) and place.parent != folder.path:
            # Another data folder may name the same file.
            stack.enter_context(exclusive_lock(place.with_name(place.name + ".lock"), what=str(place)))
        files = catalog_files(folder)
        files.install()
        catalog = Catalog(await asyncio.to_thread(files.read))
        storage = StorageWatch(place) if isinstance(place, Path) else None
        if storage is not None:
            stack.callback(storage.reserve.release)
        reserve = None if storage is None else storage.reserve
        founding = Founding(folder)
        # The pepper is written after the database was made: where there is one, there was a database.
        may_create = not founding.is_over and not folder.pepper_path.exists()
        database = await Database.open(place, may_create=may_create, reserve=reserve)
        stack.push_async_callback(database.aclose)
        is_new = await database.read(Accounts(Ring(b"", clock), clock).is_empty)
        if is_new:
            founding.check_ledger(place)
        is_metered = settings.mode == "metered"
        keys = Ring(folder.pepper(may_create=is_new), clock)
        accounts = Accounts(keys, clock, is_house_metered=is_metered)
        await database.read(accounts.fill, within_seconds=None)
        rates = RateLimits(ProcessCounters(), clock, tiers=read_tiers(folder.tiers_path))
        await database.read(rates.fill, within_seconds=None)
        for organization in await database.read(accounts.all_organizations, within_seconds=None):
            rates.set_tier(organization.id, organization.tier)
        usage = UsageRecords(database)
        replies = Replies(database, clock)
        billing = Billing(clock, is_metered=is_metered)
        await _open_books(database, accounts, usage, billing, catalog)
        yield Records(
            folder=folder,
            database=database,
            keys=keys,
            accounts=accounts,
            membership=Membership(accounts, keys, clock),
            service_accounts=ServiceAccounts(accounts, clock),
            doors=Doors(accounts, keys, clock),
            audit=AuditLog(clock),
            rates=rates,
            mail=await stack.enter_async_context(mail_room(settings, folder.outbox_path, clock)),
            usage=usage,
            billing=billing,
            settlements=Settlements(database, usage, billing, replies),
            replies=replies,
            catalog=catalog,
            catalog_files=files,
            catalog_turn=asyncio.Lock(),
            clock=clock,
            storage=storage,
        )


async def _open_books(
    database: Database, accounts: Accounts, usage: UsageRecords, billing: Billing, catalog: Catalog
) -> None:
    """Read the books, and settle what a process left open that died. Nothing is served before."""

    def load(connection: Connection) -> None:
        billing.load(connection, first_organization=accounts.house_id(connection))

    def settle(transaction: Transaction) -> int:
        billing.keep_prices(transaction, (snapshot for _, snapshot, _ in catalog.entries()))
        return settle_orphans(transaction, usage, billing)

    await database.read(load, within_seconds=None)
    num_orphans = await database.transaction(settle)
    if num_orphans:
        _log.warning("requests of a server that died were settled", extra={"num_requests": num_orphans})


def catalog_files(folder: DataFolder) -> CatalogFiles:
    """The catalog's files of a data folder."""
    bundled = Path(parley.bundled.__file__).parent
    places = Places(
        file=folder.catalog_path,
        shipped_file=bundled / "catalog.toml",
        bundled=bundled,
        models=folder.models_path,
    )
    return CatalogFiles(places, TEMPLATE_NAMES, VerifiedFiles(folder.path / "verified.json"))
