"""The table of replies that are kept for a request that is sent again, and all SQL on it."""

from collections.abc import Sequence

from sqlalchemy import Column, Connection, Double, Integer, LargeBinary, MetaData, String, Table, delete, select, update

from parley.domain.idempotency.model import KeptReply
from parley.infra.rows import RowStatement

METADATA = MetaData()

_keys = Table(
    "idempotency_keys",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("key", String(256), primary_key=True),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("finished_at", Double, nullable=False, index=True),
    Column("request_id", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=True),
)

# The later one of two replies under one key is the one that was charged last: it takes the place.
_PUT = RowStatement(
    sql="INSERT INTO idempotency_keys (project_id, key, fingerprint, finished_at, request_id, status, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (project_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,"
    " finished_at = excluded.finished_at, request_id = excluded.request_id, status = excluded.status,"
    " body = excluded.body"
)


def put_replies(connection: Connection, replies: Sequence[KeptReply]) -> None:
    """Keep replies, each in place of an older one under its key."""
    rows = [
        (
            reply.project_id,
            reply.key,
            reply.fingerprint,
            reply.finished_at,
            reply.request_id,
            reply.status,
            reply.body,
        )
        for reply in replies
    ]
    _PUT.execute(connection, rows)


def keep_body(connection: Connection, claimed: tuple[str, str], request_id: str, body: bytes) -> None:
    """Add the reply of a request that is noted under (project, key); another request's place is left alone."""
    project_id, key = claimed
    where = (_keys.c.project_id == project_id, _keys.c.key == key, _keys.c.request_id == request_id)
    connection.execute(update(_keys).where(*where).values(body=body))


def find_reply(connection: Connection, project_id: str, key: str) -> KeptReply | None:
    query = select(_keys).where(_keys.c.project_id == project_id, _keys.c.key == key)
    row = connection.execute(query).first()
    if row is None:
        return None
    return KeptReply(
        project_id=row.project_id,
        key=row.key,
        fingerprint=bytes(row.fingerprint),
        finished_at=row.finished_at,
        request_id=row.request_id,
        status=row.status,
        body=None if row.body is None else bytes(row.body),
    )


def forget_before(connection: Connection, finished_at: float, *, limit: int) -> int:
    """Delete at most `limit` replies that are older; how many went."""
    old = select(_keys.c.project_id, _keys.c.key).where(_keys.c.finished_at < finished_at).limit(limit)
    rows = connection.execute(old).all()
    for row in rows:
        connection.execute(delete(_keys).where(_keys.c.project_id == row.project_id, _keys.c.key == row.key))
    return len(rows)
