"""Reads the ledger through, compares it with the books, and says what does not agree. Mends nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from parley.domain.billing.model import Unreadable, microseconds, month_of, organization_of
from parley.domain.billing.months import span_of_month
from parley.domain.billing.store import balances, ledger
from parley.domain.billing.verify import PAGE_ENTRIES, Fault, Page, Position, walk
from parley.infra.db import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that does not agree, in one line, and the organizations whose money it touches."""

    text: str
    organizations: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the ledger must come to at entry number `seq`: the balances, in memory, of the accounts of organizations."""

    seq: int
    balances: Mapping[str, int]


def check_chain(
    connection: Connection, start: Position, *, max_entries: int | None = None
) -> tuple[Position, Finding | None]:
    """Walk the chain from `start`; how far it is sound, and what is wrong behind that."""

    def read_page(after: int) -> Page:
        entries = ledger.read_entries(connection, after=after, limit=PAGE_ENTRIES)
        until = after + len(entries)
        return Page(entries=entries, checkpoints=ledger.read_checkpoints(connection, after=after, until=until))

    try:
        last_checkpoint = ledger.last_checkpoint(connection)
    except Unreadable as damage:
        return start, Finding(text=str(damage))
    reached = walk(read_page, start, last_checkpoint=last_checkpoint, max_entries=max_entries)
    if isinstance(reached, Fault):
        return start, Finding(text=reached.reason, organizations=_owners(connection, reached.accounts))
    return reached, None


def check_sums(connection: Connection, expected: Expected) -> list[Finding]:
    """Compare the sums of the entries with the books: rows that were taken out, added or changed show here."""
    findings = []
    try:
        last, _ = ledger.head(connection)
        found = ledger.sums(connection, until=expected.seq)
    except Unreadable as damage:
        return [Finding(text=str(damage))]
    if last < expected.seq:
        findings.append(Finding(text=f"the ledger ends at entry {last}; entry {expected.seq} was written"))
    owned = {account: nano for account, nano in found.items() if account.startswith(("credit:", "grant:")) and nano}
    for account in sorted(owned.keys() | expected.balances.keys()):
        there, booked = owned.get(account, 0), expected.balances.get(account, 0)
        if there != booked or there < 0:
            text = f"account {account}: its entries come to {there}, the books to {booked}"
            findings.append(Finding(text=text, organizations=_owners(connection, (account,))))
    return findings


def check_months(connection: Connection) -> list[Finding]:
    """Compare what months are said to have cost each organization, which budgets are held against, with its charges."""
    grants = {grant.id: grant.organization_id for grant in balances.list_grants(connection)}
    spent = balances.load_spend(connection, since_month="")
    findings = []
    for month in sorted(spent.keys() | _months_of_charges(connection)):
        since, before = (microseconds(seconds) for seconds in span_of_month(month))
        charged: dict[str, int] = {}
        for account, nano in ledger.charges(connection, since=since, before=before).items():
            owner = organization_of(account, grants)
            if owner is not None:
                charged[owner] = charged.get(owner, 0) + nano
        kept = {scope: nano for scope, nano in spent.get(month, {}).items() if scope.startswith("org-")}
        for owner in sorted(charged.keys() | kept.keys()):
            if charged.get(owner, 0) != kept.get(owner, 0):
                text = f"{owner}: its charges of {month} come to {charged.get(owner, 0)}, the month's sum to {kept.get(owner, 0)}"
                findings.append(Finding(text=text, organizations=frozenset({owner})))
    return findings


def _months_of_charges(connection: Connection) -> set[str]:
    """Every month between the first charge and the last."""
    months: set[str] = set()
    times = ledger.times_of_charges(connection)
    if times is not None:
        seconds, last = times[0] / 1_000_000, times[1] / 1_000_000
        while seconds <= last:
            month = month_of(seconds)
            months.add(month)
            _, seconds = span_of_month(month)
    return months


def _owners(connection: Connection, accounts: tuple[str, ...]) -> frozenset[str]:
    grants = {grant.id: grant.organization_id for grant in balances.list_grants(connection)}
    owners = (organization_of(account, grants) for account in accounts)
    return frozenset(owner for owner in owners if owner is not None)
