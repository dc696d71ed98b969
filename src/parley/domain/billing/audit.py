"""Reads the ledger through, compares it with the books, and says what does not agree. Mends nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from parley.domain.billing.model import Unreadable, microseconds, organization_of
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
    findings: list[Finding] = []
    in_all: dict[str, int] = {}
    for month, scopes in sorted(balances.load_spend(connection, since_month="").items()):
        kept = {scope: nano for scope, nano in scopes.items() if scope.startswith("org-")}
        for owner, nano in kept.items():
            in_all[owner] = in_all.get(owner, 0) + nano
        since, before = (microseconds(seconds) for seconds in span_of_month(month))
        charged = _by_owner(ledger.charges(connection, since=since, before=before), grants)
        findings += _compared(f"charges of {month}", charged, "the month's sum", kept)
    # And what has no month at all.
    return findings or _compared("charges", _by_owner(ledger.charges(connection), grants), "the months' sums", in_all)


def _by_owner(charged: Mapping[str, int], grants: dict[str, str]) -> dict[str, int]:
    """What was charged to accounts, by the organizations whose they are."""
    found: dict[str, int] = {}
    for account, nano in charged.items():
        owner = organization_of(account, grants)
        if owner is not None:
            found[owner] = found.get(owner, 0) + nano
    return found


def _compared(what: str, charged: Mapping[str, int], where: str, kept: Mapping[str, int]) -> list[Finding]:
    return [
        Finding(
            text=f"{owner}: its {what} come to {charged.get(owner, 0)}, {where} to {kept.get(owner, 0)}",
            organizations=frozenset({owner}),
        )
        for owner in sorted(charged.keys() | kept.keys())
        if charged.get(owner, 0) != kept.get(owner, 0)
    ]


def _owners(connection: Connection, accounts: tuple[str, ...]) -> frozenset[str]:
    grants = {grant.id: grant.organization_id for grant in balances.list_grants(connection)}
    owners = (organization_of(account, grants) for account in accounts)
    return frozenset(owner for owner in owners if owner is not None)
