"""Billing's verbs: prices, top-ups, grants, budgets, freezing, and what settling a request writes."""

from collections.abc import Iterable, Sequence

import msgspec

from parley.core.clock import Clock
from parley.core.errors import Conflict, InvalidRequest
from parley.core.hold import Hold
from parley.core.ids import new_id
from parley.core.money import MAX_NANO, format_dollars
from parley.core.price import Price
from parley.core.snapshot import Snapshot
from parley.domain.billing.books import Books, Closed, Contents
from parley.domain.billing.memos import Seal, budget_memo, grant_memo, record_memo
from parley.domain.billing.model import (
    GRANTED,
    TOP_UPS,
    Entry,
    EntryKind,
    Grant,
    Posting,
    credit_account,
    grant_account,
    microseconds,
    month_of,
    organization_of,
)
from parley.domain.billing.store import balances, ledger, prices
from parley.infra.db import Connection, Transaction

# A clock that jumps back for a day at the turn of a month meets what the month before had spent. So does one that is far ahead
# at the start and is set right later, also where something was charged in a month that was none yet.
_KEPT_MONTHS_SECONDS = 32 * 86_400.0
_NUM_KEPT_MONTHS = 3
_MAX_NOTE_CHARACTERS = 1000


class Billing:
    """Every verb works inside the unit of work that it is handed; the books follow once that is durable.

    With `is_metered` the organization of the first start pays as every other does; without, it is refused nothing.
    """

    def __init__(self, clock: Clock, *, is_metered: bool) -> None:
        self._clock = clock
        self._is_metered = is_metered
        self._own_prices: dict[tuple[str, str], Price] = {}
        self.books = Books(clock)

    def load(self, connection: Connection, *, first_organization: str | None) -> None:
        """Read the books from the database: once, before anything is served."""
        until, _ = ledger.head(connection)
        credit: dict[str, int] = {}
        left: dict[str, int] = {}
        for account, nano in ledger.sums(connection, until=until).items():
            kind, _, name = account.partition(":")
            if kind == "credit":
                credit[name] = nano
            elif kind == "grant":
                left[name] = nano
        grants = balances.list_grants(connection)
        for grant in grants:
            grant.left_nano = left.get(grant.id, 0)
        since_month = month_of(self._clock.now() - _KEPT_MONTHS_SECONDS)
        contents = Contents(
            credit=credit,
            grants=grants,
            budgets=balances.list_budgets(connection),
            frozen=balances.list_frozen(connection),
            spent=balances.load_spend(connection, since_month=since_month, num_months=_NUM_KEPT_MONTHS),
        )
        self.books = Books(self._clock, contents)
        self._own_prices = prices.list_organization_prices(connection)
        self.set_first_organization(first_organization)

    def set_first_organization(self, organization_id: str | None) -> None:
        """The organization of the first start, which has no limits unless everything is metered."""
        self.books.open_organization = None if self._is_metered else organization_id

    def price_for(self, organization_id: str, snapshot: Snapshot) -> Price:
        """What the organization pays for the snapshot now. In memory; it cannot fail."""
        if self._own_prices:
            own = self._own_prices.get((organization_id, snapshot.name))
            if own is not None:
                return own
        return snapshot.price

    def own_price(self, connection: Connection, organization_id: str, model: str) -> Price | None:
        """The organization's own price for the snapshot `model`; None: it pays what everybody pays."""
        return prices.list_organization_prices(connection).get((organization_id, model))

    def keep_prices(self, transaction: Transaction, snapshots: Iterable[Snapshot]) -> None:
        """Keep the versions that are in force, so that an old usage record's price can always be looked up."""
        versions = {snapshot.price.version: snapshot.price for snapshot in snapshots}
        prices.keep_versions(transaction.connection, versions.values(), now=self._clock.now())

    def set_price(self, transaction: Transaction, organization_id: str, model: str, price: Price | None) -> None:
        """From now on the organization pays this for the snapshot `model`; None: what everybody pays."""
        now = self._clock.now()
        if price is not None:
            prices.keep_versions(transaction.connection, [price], now=now)
        version = None if price is None else price.version
        prices.set_organization_price(transaction.connection, organization_id, model, version, now=now)

        def follow() -> None:
            if price is None:
                self._own_prices.pop((organization_id, model), None)
            else:
                self._own_prices[organization_id, model] = price

        transaction.on_commit_in_loop(follow)

    def top_up(self, transaction: Transaction, organization_id: str, nano: int, *, key: str, note: str) -> None:
        """Add paid credit. `key` names this payment: the same one again raises Conflict and changes nothing."""
        _check_amount(nano)
        full_key = f"top-up:{key}"
        if ledger.has_entry(transaction.connection, full_key):
            raise Conflict(f"The payment {key!r} was posted before.")
        self._post(transaction, full_key, EntryKind.TOP_UP, (TOP_UPS, credit_account(organization_id), nano), note)
        transaction.on_commit_in_loop(lambda: self.books.add_credit(organization_id, nano))

    def grant(
        self, transaction: Transaction, organization_id: str, nano: int, *, lifetime_seconds: float, note: str
    ) -> Grant:
        """Give credit that expires; it is used before paid credit, and before a grant that expires later."""
        _check_amount(nano)
        now = self._clock.now()
        grant = Grant(
            id=new_id("grant_"),
            organization_id=organization_id,
            amount_nano=nano,
            expires_at=now + lifetime_seconds,
            left_nano=nano,
        )
        balances.insert_grant(transaction.connection, grant, created_at=now)
        accounts = (GRANTED, grant_account(grant.id), nano)
        self._post(transaction, f"grant:{grant.id}", EntryKind.GRANT, accounts, note)
        ledger.post(transaction.connection, [grant_memo(grant, at=microseconds(now))])
        transaction.on_commit_in_loop(lambda: self.books.add_grant(grant))
        return grant

    def set_budget(self, transaction: Transaction, scope: str, limit_nano: int | None) -> None:
        """Set what an organization or a project may spend in a month, or lift it. A key's budget is kept with the key."""
        check_budget(limit_nano)
        balances.set_budget(transaction.connection, scope, limit_nano)
        self.state_budget(transaction, scope, limit_nano)
        transaction.on_commit_in_loop(lambda: self.books.set_budget(scope, limit_nano))

    def state_budget(self, transaction: Transaction, scope: str, limit_nano: int | None) -> None:
        """Write into the ledger what budget a scope has from now on, wherever that is kept."""
        ledger.post(transaction.connection, [budget_memo(scope, limit_nano, at=microseconds(self._clock.now()))])

    def budget_nano(self, connection: Connection, scope: str) -> int | None:
        """The monthly budget of an organization or a project."""
        return balances.find_budget(connection, scope)

    def frozen_reason(self, connection: Connection, organization_id: str) -> str | None:
        """Why an account is frozen; None: it is not."""
        return balances.list_frozen(connection).get(organization_id)

    def set_frozen(self, transaction: Transaction, organization_id: str, *, reason: str | None) -> None:
        """Refuse an organization everything for a reason, or no longer (None)."""
        balances.set_frozen(transaction.connection, organization_id, reason=reason, now=self._clock.now())
        is_frozen = reason is not None
        transaction.on_commit_in_loop(lambda: self.books.set_frozen(organization_id, is_frozen=is_frozen))

    def keep_closed(self, connection: Connection, closed: Sequence[tuple[Closed, Seal]]) -> None:
        """Write what settling requests came to: entries, which hold the seals of their records, and the months' sums."""
        postings: list[Posting] = []
        for one, seal in closed:
            if one.postings:
                first, *others = one.postings
                postings += [msgspec.structs.replace(first, note=seal.note), *others]
            else:
                postings.append(record_memo(seal, one.scopes[0], at=microseconds(self._clock.now())))
        ledger.post(connection, postings)
        spent: dict[tuple[str, str], int] = {}
        for one, _ in closed:
            if one.charge_nano:
                for scope in one.scopes:
                    spent[scope, one.month] = spent.get((scope, one.month), 0) + one.charge_nano
        balances.add_spend(connection, spent)

    def keep_holds(self, connection: Connection, holds: Sequence[tuple[Hold, bytes]]) -> None:
        """Keep open holds with their state, in place of what was kept of them before."""
        balances.put_holds(connection, [(hold.request_id, hold.amount_nano, state) for hold, state in holds])

    def post(self, connection: Connection, postings: Sequence[Posting]) -> None:
        """Write entries that the books have made already."""
        ledger.post(connection, postings)

    def last_entry(self, connection: Connection) -> int:
        """The number of the last entry."""
        return ledger.head(connection)[0]

    def read_entries(self, connection: Connection, *, after: int, limit: int) -> list[Entry]:
        """The next entries behind number `after`. Raises Unreadable."""
        return ledger.read_entries(connection, after=after, limit=limit)

    def grant_owners(self, connection: Connection) -> dict[str, str]:
        """The organization of each grant."""
        return {grant.id: grant.organization_id for grant in balances.list_grants(connection)}

    def charged_by_organization(self, connection: Connection) -> dict[str, int]:
        """What the ledger says that each organization was charged, whatever it paid with."""
        grants = self.grant_owners(connection)
        charged: dict[str, int] = {}
        for account, nano in ledger.charges(connection).items():
            owner = organization_of(account, grants) or account
            charged[owner] = charged.get(owner, 0) + nano
        return charged

    def drop_holds(self, connection: Connection, request_ids: Sequence[str]) -> None:
        """Forget holds that were kept: their requests are settled."""
        balances.drop_holds(connection, request_ids)

    def kept_holds(self, connection: Connection) -> list[tuple[str, bytes]]:
        """What is kept of open holds: (request, state). At a start these are what a process left that died."""
        return balances.list_holds(connection)

    def _post(
        self, transaction: Transaction, key: str, kind: EntryKind, accounts: tuple[str, str, int], note: str
    ) -> None:
        debit, credit, nano = accounts
        posting = Posting(
            key=key,
            kind=kind,
            at=microseconds(self._clock.now()),
            debit=debit,
            credit=credit,
            amount_nano=nano,
            note=note[:_MAX_NOTE_CHARACTERS],
        )
        ledger.post(transaction.connection, [posting])


def check_budget(limit_nano: int | None) -> None:
    """Raises InvalidRequest for what no budget can be."""
    if limit_nano is not None and not 0 <= limit_nano <= MAX_NANO:
        raise InvalidRequest(f"A budget is 0 to {format_dollars(MAX_NANO)}.", param="amount")


def _check_amount(nano: int) -> None:
    if not 0 < nano <= MAX_NANO:
        raise InvalidRequest(f"An amount is more than nothing, and at most {format_dollars(MAX_NANO)}.", param="amount")
