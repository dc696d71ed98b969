"""The ledger's own types: entries, grants, budgets; what accounts are called; and how an entry is bound to the one before."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

# Where money comes from and goes to, beside the accounts of organizations.
REVENUE = "revenue"
TOP_UPS = "top-ups"
GRANTED = "granted"
EXPIRED = "expired"

# The hash that the first entry is bound to.
GENESIS = bytes(32)
ENTRIES_PER_CHECKPOINT = 1000


class Unreadable(Exception):
    """The database cannot say what entry number `seq` is."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(f"entry {seq} cannot be read: {reason}")
        self.seq = seq


class EntryKind(StrEnum):
    """Why money moved."""

    TOP_UP = "top-up"
    GRANT = "grant"
    EXPIRY = "expiry"
    CHARGE = "charge"
    # Moves nothing; see `memos`.
    MEMO = "memo"


class Posting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry that is not in the ledger yet: `amount_nano` (0 in a memo, else more) leaves `debit` and reaches `credit`.

    One row moves money between two accounts, so the ledger balances by its shape. `key` is unique: posting it again is
    refused, whatever else it says. `at` is in microseconds since the epoch, an integer so that its hash is exact.
    """

    key: str
    kind: EntryKind
    at: int
    debit: str
    credit: str
    amount_nano: int
    # The request and its record's digest, the grant, what a memo says, or the words of whoever did it.
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of the ledger, as it was read: damage may have put anything into it."""

    seq: int
    key: str
    kind: str
    at: int
    debit: str
    credit: str
    amount_nano: int
    note: str
    hash: bytes


@dataclass(slots=True, eq=False, kw_only=True)
class Grant:
    """Credit that expires. `left_nano` follows from the ledger: it is the balance of the grant's account."""

    id: str
    organization_id: str
    amount_nano: int
    expires_at: float
    left_nano: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an organization or a project (`scope` is its id) may spend in a calendar month (UTC), at most."""

    scope: str
    limit_nano: int


def credit_account(organization_id: str) -> str:
    """What the organization has paid in and not used."""
    return f"credit:{organization_id}"


def grant_account(grant_id: str) -> str:
    """What is left of a grant."""
    return f"grant:{grant_id}"


def open_account(organization_id: str) -> str:
    """What an organization without limits has used: a count of cost, not a debt."""
    return f"open:{organization_id}"


def organization_of(account: str, grants: dict[str, str]) -> str | None:
    """The organization whose money an account holds, given the organization of each grant; None for our own accounts."""
    kind, _, name = account.partition(":")
    if kind == "grant":
        return grants.get(name)
    return name if kind in {"credit", "open"} and name else None


def entry_hash(previous: bytes, entry: Entry | Posting, seq: int) -> bytes:
    """SHA-256 of the entry and of the hash before it: no entry can be changed, added or left out without it showing."""
    text = (
        f"{seq}\x1f{entry.key}\x1f{entry.kind}\x1f{entry.at}\x1f{entry.debit}\x1f{entry.credit}"
        f"\x1f{entry.amount_nano}\x1f{entry.note}"
    )
    return hashlib.sha256(previous + text.encode("utf-8", "surrogatepass")).digest()


def microseconds(seconds: float) -> int:
    """Seconds since the epoch as the ledger writes them."""
    return round(seconds * 1_000_000)


def month_of(seconds: float) -> str:
    """The calendar month, UTC, as `2023-03`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m")
