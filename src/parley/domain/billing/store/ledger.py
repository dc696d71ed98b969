"""The ledger's SQL: entries are added and read, never changed."""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, func, select
from sqlalchemy.exc import DBAPIError

from parley.domain.billing.model import (
    ENTRIES_PER_CHECKPOINT,
    GENESIS,
    Entry,
    EntryKind,
    Posting,
    Unreadable,
    entry_hash,
)
from parley.domain.billing.store.tables import checkpoints, entries
from parley.infra.postgres import is_of_server
from parley.infra.rows import RowStatement, insert_into

_INSERT = insert_into("ledger_entries", [column.name for column in entries.columns])
_HEAD = RowStatement(sql="SELECT seq, hash FROM ledger_entries ORDER BY seq DESC LIMIT 1")


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
            (
                seq,
                posting.key,
                posting.kind.value,
                posting.at,
                posting.debit,
                posting.credit,
                posting.amount_nano,
                posting.note,
                previous,
            )
        )
        if seq % ENTRIES_PER_CHECKPOINT == 0:
            marks.append({"seq": seq, "hash": previous})
    _INSERT.execute(connection, rows)
    if marks:
        connection.execute(checkpoints.insert(), marks)


def head(connection: Connection) -> tuple[int, bytes]:
    """The number and the hash of the last entry. Raises Unreadable."""
    try:
        row = _HEAD.fetch(connection)
    except DBAPIError as error:
        raise _damage(0, error) from error
    return (0, GENESIS) if row is None else (row[0], bytes(row[1]))


def has_entry(connection: Connection, key: str) -> bool:
    """Whether something was posted under this key."""
    return connection.execute(select(entries.c.seq).where(entries.c.key == key)).first() is not None


def read_entries(connection: Connection, *, after: int, limit: int) -> list[Entry]:
    """The next entries behind number `after`, in order. Raises Unreadable, with the number, for one that is damaged."""
    query = select(entries).where(entries.c.seq > after).order_by(entries.c.seq).limit(limit)
    try:
        return [_entry(row) for row in connection.execute(query)]
    except DBAPIError as error:
        if is_of_server(error):
            raise
        # One by one, to learn which it is.
        for seq in range(after + 1, after + limit + 1):
            try:
                connection.execute(select(entries).where(entries.c.seq == seq)).all()
            except DBAPIError as of_one:
                raise _damage(seq, of_one) from error
        raise _damage(after + 1, error) from error


def read_checkpoints(connection: Connection, *, after: int, until: int) -> dict[int, bytes]:
    """The checkpoints in (after, until]: number -> hash."""
    query = select(checkpoints).where(checkpoints.c.seq > after, checkpoints.c.seq <= until)
    return {row.seq: row.hash for row in connection.execute(query)}


def last_checkpoint(connection: Connection) -> int:
    """The number of the last checkpoint; 0 before there is one."""
    try:
        return int(connection.execute(select(func.max(checkpoints.c.seq))).scalar() or 0)
    except DBAPIError as error:
        raise _damage(0, error) from error


def sums(connection: Connection, *, until: int) -> dict[str, int]:
    """The balance of every account over the entries up to number `until`. Raises Unreadable where the table is damaged."""
    # Of all entries, out of an index, which takes a tenth of the time of reading them; then those behind are taken off.
    every = select(entries.c.debit, entries.c.credit, func.sum(entries.c.amount_nano).label("nano"))
    every = every.group_by(entries.c.debit, entries.c.credit)
    behind = select(entries.c.debit, entries.c.credit, (-entries.c.amount_nano).label("nano"))
    behind = behind.where(entries.c.seq > until)
    found: dict[str, int] = {}
    try:
        for row in (*connection.execute(every), *connection.execute(behind)):
            found[row.debit] = found.get(row.debit, 0) - int(row.nano)
            found[row.credit] = found.get(row.credit, 0) + int(row.nano)
    except DBAPIError as error:
        raise _damage(0, error) from error
    return found


def charges(connection: Connection) -> dict[str, int]:
    """What was charged to each account. Raises Unreadable where the table is damaged."""
    query = select(entries.c.debit, func.sum(entries.c.amount_nano).label("total"))
    query = query.where(entries.c.kind == EntryKind.CHARGE.value).group_by(entries.c.debit)
    try:
        return {row.debit: int(row.total) for row in connection.execute(query)}
    except DBAPIError as error:
        raise _damage(0, error) from error


def _damage(seq: int, error: DBAPIError) -> Unreadable:
    """What a failure to read says of the table. Raises the failure itself where it is the server's."""
    if is_of_server(error):
        raise error
    return Unreadable(seq, str(error.orig))


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
