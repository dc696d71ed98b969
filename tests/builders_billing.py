"""Builders for money: principals, prices, an open billing on a database of its own, and settled requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from parley.core.clock import FakeClock
from parley.core.hold import Hold, Need
from parley.core.price import Price, charge_nano
from parley.core.principal import Principal, Scope
from parley.core.usage import Usage, UsageRecord
from parley.domain.audit.service import AuditLog
from parley.domain.billing.service import Billing
from parley.domain.idempotency.service import Replies
from parley.domain.usage.service import UsageRecords
from parley.infra.db import Database
from parley.operations.reconcile import Reconciler
from parley.operations.settlements import Settlements, settle_orphans
from tests.builders_records import usage_record

PRICE = Price(version="test:1", input_token_nano=2, cached_token_nano=1, output_token_nano=3)
DAY_SECONDS = 86_400.0


def principal(
    organization_id: str = "org-a",
    *,
    project_id: str = "proj_a",
    key_id: str = "key_a",
    budget_nano: int | None = None,
    counted_as: str | None = None,
) -> Principal:
    return Principal(
        organization_id=organization_id,
        project_id=project_id,
        key_id=key_id,
        scopes=frozenset({Scope.ALL}),
        budget_nano=budget_nano,
        counted_as=counted_as,
    )


def need(input_tokens: int = 10, output_tokens: int = 10, *, at_least: int | None = None) -> Need:
    """A need of so many tokens; everything is needed unless `at_least` says how much output would do."""
    least = output_tokens if at_least is None else at_least
    return Need(input_tokens=input_tokens, min_output_tokens=least, output_tokens=output_tokens)


def record_of(hold: Hold, usage: Usage) -> UsageRecord:
    """The usage record of a held request that used so much."""
    who = hold.principal
    return structs.replace(
        usage_record(hold.request_id),
        organization_id=who.organization_id,
        project_id=who.project_id,
        key_id=who.key_id,
        usage=usage,
        price_version=hold.price.version,
        charge_nano=min(charge_nano(hold.price, usage), hold.amount_nano),
    )


@dataclass
class MoneyBench:
    """Money with everything that a test may want to look at."""

    database: Database
    billing: Billing
    usage: UsageRecords
    settlements: Settlements
    replies: Replies
    clock: FakeClock
    num_orphans: int = 0

    async def top_up(self, nano: int, organization_id: str = "org-a", *, key: str = "first") -> None:
        await self.database.transaction(
            lambda transaction: self.billing.top_up(transaction, organization_id, nano, key=key, note="")
        )

    async def grant(self, nano: int, *, days: float = 90.0, organization_id: str = "org-a") -> str:
        made = await self.database.transaction(
            lambda transaction: self.billing.grant(
                transaction, organization_id, nano, lifetime_seconds=days * DAY_SECONDS, note=""
            )
        )
        return made.id

    def hold(self, request_id: str = "req_1", wanted: Need | None = None, *, who: Principal | None = None) -> Hold:
        return self.billing.books.open_hold(request_id, who or principal(), PRICE, wanted or need())

    async def settle(self, hold: Hold, usage: Usage) -> None:
        await self.settlements.settle(hold, record_of(hold, usage))

    def reconciler(self) -> Reconciler:
        return Reconciler(self.database, self.billing, self.replies, AuditLog(self.clock), self.clock)

    @property
    def available(self) -> int:
        return self.billing.books.available_nano("org-a")


@asynccontextmanager
async def open_money(
    place: Path | str, clock: FakeClock | None = None, *, open_organization: str | None = None
) -> AsyncIterator[MoneyBench]:
    """Open, or open again, the money at `place`, as a server's start does; every organization but one is metered."""
    clock = clock or FakeClock()
    async with await Database.open(place) as database:
        billing, usage = Billing(clock, is_metered=open_organization is None), UsageRecords(database)
        await database.read(lambda connection: billing.load(connection, first_organization=open_organization))
        num_orphans = await database.transaction(lambda transaction: settle_orphans(transaction, usage, billing))
        replies = Replies(database, clock)
        settlements = Settlements(database, usage, billing, replies)
        yield MoneyBench(database, billing, usage, settlements, replies, clock, num_orphans)
