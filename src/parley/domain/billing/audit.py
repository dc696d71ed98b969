"""Reads the ledger through, compares it with the books, and says what does not agree. Mends nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from parley.domain.billing.memos import Memos
from parley.domain.billing.model import Unreadable, organization_of
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


def check_months(connection: Connection, charged: Mapping[tuple[str, str], int], memos: Memos) -> list[Finding]:
    """Compare what months are said to have cost, which budgets are held against, with the charges: (month, scope) -> nano."""
    kept = {
        (month, scope): nano
        for month, scopes in balances.load_spend(connection, since_month="").items()
        for scope, nano in scopes.items()
    }
    stated = memos.months
    findings = []
    for month, scope in sorted(charged.keys() | kept.keys() | stated.keys()):
        come_to = charged.get((month, scope), 0) + stated.get((month, scope), 0)
        summed = kept.get((month, scope), 0)
        if come_to != summed:
            text = f"{scope}: its charges of {month} come to {come_to}, the month's sum to {summed}"
            findings.append(_about(scope, text))
    return findings


def check_grants(connection: Connection, memos: Memos) -> list[Finding]:
    """Compare whose each grant is, how much it was and when it ends with what the ledger says."""
    kept = {
        each.id: (each.organization_id, each.amount_nano, each.expires_at) for each in balances.list_grants(connection)
    }
    findings = []
    for grant_id in sorted(kept.keys() | memos.grants.keys()):
        there, stated = kept.get(grant_id), memos.grants.get(grant_id)
        if there != stated:
            owners = {terms[0] for terms in (there, stated) if terms is not None}
            text = f"grant {grant_id} is {_terms(there)}; the ledger says {_terms(stated)}"
            findings.append(Finding(text=text, organizations=frozenset(owners)))
    return findings


def check_budgets(connection: Connection, of_keys: Mapping[str, int], memos: Memos) -> list[Finding]:
    """Compare the budgets in force, those of keys among them, with what the ledger says."""
    kept = {budget.scope: budget.limit_nano for budget in balances.list_budgets(connection)} | dict(of_keys)
    return [
        _about(
            scope,
            f"{scope}: its budget is {kept.get(scope, 'none')}, the ledger says {memos.budgets.get(scope, 'none')}",
        )
        for scope in sorted(kept.keys() | memos.budgets.keys())
        if kept.get(scope) != memos.budgets.get(scope)
    ]


def _terms(terms: tuple[str, int, float] | None) -> str:
    return "not there" if terms is None else f"{terms[1]} for {terms[0]} until {terms[2]}"


def _about(scope: str, text: str) -> Finding:
    return Finding(text=text, organizations=frozenset({scope} if scope.startswith("org-") else ()))


def _owners(connection: Connection, accounts: tuple[str, ...]) -> frozenset[str]:
    if not accounts:
        # After a failure to read, PostgreSQL answers nothing more in this transaction.
        return frozenset()
    grants = {grant.id: grant.organization_id for grant in balances.list_grants(connection)}
    owners = (organization_of(account, grants) for account in accounts)
    return frozenset(owner for owner in owners if owner is not None)
