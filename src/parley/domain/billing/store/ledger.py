"""The ledger's SQL: entries are added and read, never changed."""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, func, literal_column, select, text

from parley.domain.billing.model import ENTRIES_PER_CHECKPOINT, GENESIS, Entry, Posting, entry_hash
from parley.domain.billing.store.tables import checkpoints, entries

# Written out: as an expression it costs several times as much for each row.
_INSERT = text(
    "INSERT INTO ledger_entries (seq, key, kind, at, debit, credit, amount_nano, note, hash)"
    " VALUES (:seq, :key, :kind, :at, :debit, :credit, :amount_nano, :note, :hash)"
)
_HEAD = text("SELECT seq, hash FROM ledger_entries ORDER BY seq DESC LIMIT 1")


def post(connection: Connection, postings: Sequence[Posting]) -> None:
    """Add entries at the end of the chain, in this order. Raises IntegrityError where a key was used before.

    The end is read here, inside the unit of work, so that a unit that is undone leaves the chain as it was.
    """
    if not postings:
        return
    seq, previous = head(connection)
    rows = []
    marks = []
    for posting in postings:
        seq += 1
        previous = entry_hash(previous, posting, seq)
        rows.append(
            {
                "seq": seq,
                "key": posting.key,
                "kind": posting.kind.value,
                "at": posting.at,
                "debit": posting.debit,
                "credit": posting.credit,
                "amount_nano": posting.amount_nano,
                "note": posting.note,
                "hash": previous,
            }
        )
        if seq % ENTRIES_PER_CHECKPOINT == 0:
            marks.append({"seq": seq, "hash": previous})
    connection.execute(_INSERT, rows)
    if marks:
        connection.execute(checkpoints.insert(), marks)


def head(connection: Connection) -> tuple[int, bytes]:
    """The number and the hash of the last entry."""
    row = connection.execute(_HEAD).first()
    return (0, GENESIS) if row is None else (row.seq, bytes(row.hash))


def has_entry(connection: Connection, key: str) -> bool:
    """Whether something was posted under this key."""
    return connection.execute(select(entries.c.seq).where(entries.c.key == key)).first() is not None


def read_entries(connection: Connection, *, after: int, limit: int) -> list[Entry]:
    """The next entries behind number `after`, in order."""
    query = select(entries).where(entries.c.seq > after).order_by(entries.c.seq).limit(limit)
    return [_entry(row) for row in connection.execute(query)]


def read_checkpoints(connection: Connection, *, after: int, until: int) -> dict[int, bytes]:
    """The checkpoints in (after, until]: number -> hash."""
    query = select(checkpoints).where(checkpoints.c.seq > after, checkpoints.c.seq <= until)
    return {row.seq: row.hash for row in connection.execute(query)}


def last_checkpoint(connection: Connection) -> int:
    """The number of the last checkpoint; 0 before there is one."""
    return int(connection.execute(select(func.max(checkpoints.c.seq))).scalar() or 0)


def sums(connection: Connection, *, until: int) -> dict[str, int]:
    """The balance of every account over the entries up to number `until`. Reads the rows, not an index of them."""
    found: dict[str, int] = {}
    for column, sign in ((entries.c.debit, -1), (entries.c.credit, 1)):
        query = select(column.label("account"), func.sum(entries.c.amount_nano).label("total"))
        query = query.where(entries.c.seq <= until).group_by(literal_column("account"))
        for row in connection.execute(query):
            found[row.account] = found.get(row.account, 0) + sign * int(row.total)
    return found


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    return Entry(
        seq=row.seq,
        key=row.key,
        kind=row.kind,
        at=row.at,
        debit=row.debit,
        credit=row.credit,
        amount_nano=row.amount_nano,
        note=row.note,
        hash=row.hash,
    )
