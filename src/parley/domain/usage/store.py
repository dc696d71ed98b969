"""The usage records' table and all SQL on it."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    func,
    select,
    text,
)

from parley.core.usage import Doubt, Outcome, Usage, UsageRecord
from parley.domain.usage.model import Dimension, RecordFilter, SumFilter, UsageSum

METADATA = MetaData()
_SUMMED = ("input_tokens", "cached_tokens", "output_tokens")

_records = Table(
    "usage_records",
    METADATA,
    Column("request_id", String(64), primary_key=True),
    Column("created_at", Double, nullable=False, index=True),
    Column("organization_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("endpoint", String(128), nullable=False),
    Column("requested_model", String(256), nullable=False),
    Column("snapshot", String(128), nullable=False),
    Column("weights", String(128), nullable=False),
    Column("price_version", String(128), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("num_choices", Integer, nullable=False),
    Column("is_stream", Boolean, nullable=False),
    Column("queue_seconds", Double, nullable=False),
    Column("ttft_seconds", Double, nullable=True),
    Column("e2e_seconds", Double, nullable=False),
    # `user` is a reserved word of SQL.
    Column("end_user", Text, nullable=True),
    Column("metadata", JSON, nullable=False),
    # Why the usage is less than certain; NULL where it is not.
    Column("doubt", String(16), nullable=True),
)

# Written out, because the standard form of "insert once" is the one thing that Core spells per dialect; SQLite and
# PostgreSQL both read this.
_names = [column.name for column in _records.columns]
INSERT_ONCE = text(
    f"INSERT INTO usage_records ({', '.join(_names)}) VALUES ({', '.join(f':{name}' for name in _names)})"  # noqa: S608
    " ON CONFLICT (request_id) DO NOTHING"
)


def to_row(record: UsageRecord) -> dict[str, Any]:
    """The parameters of INSERT_ONCE."""
    return {
        "request_id": record.request_id,
        "created_at": record.created_at,
        "organization_id": record.organization_id,
        "project_id": record.project_id,
        "key_id": record.key_id,
        "endpoint": record.endpoint,
        "requested_model": record.requested_model,
        "snapshot": record.snapshot,
        "weights": record.weights,
        "price_version": record.price_version,
        "outcome": record.outcome.value,
        "input_tokens": record.usage.input_tokens,
        "cached_tokens": record.usage.cached_tokens,
        "output_tokens": record.usage.output_tokens,
        "num_choices": record.num_choices,
        "is_stream": record.is_stream,
        "queue_seconds": record.queue_seconds,
        "ttft_seconds": record.ttft_seconds,
        "e2e_seconds": record.e2e_seconds,
        "end_user": record.user,
        "metadata": json.dumps(dict(record.metadata)) if record.metadata else "{}",
        "doubt": None if record.doubt is None else record.doubt.value,
    }


def list_records(connection: Connection, wanted: RecordFilter, *, limit: int) -> list[UsageRecord]:
    """The newest `limit` records that pass the filter, the newest first."""
    query = select(_records).order_by(_records.c.created_at.desc(), _records.c.request_id.desc()).limit(limit)
    if wanted.since is not None:
        query = query.where(_records.c.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_records.c.created_at < wanted.until)
    if wanted.key_id is not None:
        query = query.where(_records.c.key_id == wanted.key_id)
    if wanted.request_id is not None:
        query = query.where(_records.c.request_id == wanted.request_id)
    return [_record(row) for row in connection.execute(query)]


def sums(
    connection: Connection, wanted: SumFilter, *, since: float, until: float, group_by: Sequence[Dimension]
) -> list[UsageSum]:
    """What was used from `since` until before `until`, in groups, the order of which is that of their names."""
    columns = [_records.c[dimension.value] for dimension in group_by]
    query = select(
        *columns,
        func.count().label("num_requests"),
        *[func.coalesce(func.sum(_records.c[name]), 0).label(name) for name in _SUMMED],
    ).where(
        _records.c.organization_id == wanted.organization_id,
        _records.c.created_at >= since,
        _records.c.created_at < until,
        _records.c.endpoint.in_(sorted(wanted.endpoints)),
    )
    if wanted.project_ids is not None:
        query = query.where(_records.c.project_id.in_(sorted(wanted.project_ids)))
    for column, values in ((_records.c.key_id, wanted.key_ids), (_records.c.snapshot, wanted.models)):
        if values:
            query = query.where(column.in_(sorted(values)))
    return [
        UsageSum(
            group={dimension: getattr(row, dimension.value) for dimension in group_by},
            num_requests=row.num_requests,
            usage=Usage(**{name: int(getattr(row, name)) for name in _SUMMED}),
        )
        for row in connection.execute(query.group_by(*columns).order_by(*columns))
        if row.num_requests
    ]


def _record(row: Row[tuple[object, ...]]) -> UsageRecord:
    return UsageRecord(
        request_id=row.request_id,
        created_at=row.created_at,
        organization_id=row.organization_id,
        project_id=row.project_id,
        key_id=row.key_id,
        endpoint=row.endpoint,
        requested_model=row.requested_model,
        snapshot=row.snapshot,
        weights=row.weights,
        price_version=row.price_version,
        outcome=Outcome(row.outcome),
        usage=Usage(input_tokens=row.input_tokens, cached_tokens=row.cached_tokens, output_tokens=row.output_tokens),
        num_choices=row.num_choices,
        is_stream=row.is_stream,
        queue_seconds=row.queue_seconds,
        ttft_seconds=row.ttft_seconds,
        e2e_seconds=row.e2e_seconds,
        user=row.end_user,
        metadata=row.metadata,
        doubt=None if row.doubt is None else Doubt(row.doubt),
    )
