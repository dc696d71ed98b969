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
)

from parley.core.usage import Doubt, Outcome, Usage, UsageRecord
from parley.domain.usage.model import Dimension, RecordFilter, SumFilter, UsageSum
from parley.infra.rows import insert_into

METADATA = MetaData()
_SUMMED = ("input_tokens", "cached_tokens", "output_tokens", "audio_seconds", "training_tokens", "charge_nano")

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
    Column("charge_nano", BigInteger, nullable=False, server_default="0"),
    Column("outcome", String(16), nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("audio_seconds", BigInteger, nullable=False, server_default="0"),
    Column("training_tokens", BigInteger, nullable=False, server_default="0"),
    # (size, number) pairs.
    Column("images", JSON, nullable=False, server_default="[]"),
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

_INSERT = insert_into("usage_records", [column.name for column in _records.columns])


def insert_records(connection: Connection, records: Sequence[UsageRecord]) -> None:
    """Keep records. Raises IntegrityError where one of the requests has its record already."""
    _INSERT.execute(connection, [_to_row(record) for record in records])


def has_record(connection: Connection, request_id: str) -> bool:
    """Whether the request has its record."""
    return (
        connection.execute(select(_records.c.request_id).where(_records.c.request_id == request_id)).first() is not None
    )


def sum_charges(connection: Connection) -> dict[str, int]:
    """What the records of each organization come to, in nano-dollars."""
    query = select(_records.c.organization_id, func.sum(_records.c.charge_nano).label("total"))
    rows = connection.execute(query.group_by(_records.c.organization_id))
    return {row.organization_id: int(row.total) for row in rows if row.total}


def _to_row(record: UsageRecord) -> tuple[Any, ...]:
    """The values of a record, in the order of the table's columns."""
    usage = record.usage
    return (
        record.request_id,
        record.created_at,
        record.organization_id,
        record.project_id,
        record.key_id,
        record.endpoint,
        record.requested_model,
        record.snapshot,
        record.weights,
        record.price_version,
        record.charge_nano,
        record.outcome.value,
        usage.input_tokens,
        usage.cached_tokens,
        usage.output_tokens,
        usage.audio_seconds,
        usage.training_tokens,
        json.dumps(usage.images) if usage.images else "[]",
        record.num_choices,
        record.is_stream,
        record.queue_seconds,
        record.ttft_seconds,
        record.e2e_seconds,
        # PostgreSQL keeps no NUL in a text.
        None if record.user is None else record.user.replace("\x00", "\ufffd"),
        json.dumps(dict(record.metadata)) if record.metadata else "{}",
        None if record.doubt is None else record.doubt.value,
    )


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
    )
    if wanted.endpoints is not None:
        query = query.where(_records.c.endpoint.in_(sorted(wanted.endpoints)))
    if wanted.project_ids is not None:
        query = query.where(_records.c.project_id.in_(sorted(wanted.project_ids)))
    for column, values in ((_records.c.key_id, wanted.key_ids), (_records.c.snapshot, wanted.models)):
        if values:
            query = query.where(column.in_(sorted(values)))
    return [
        UsageSum(
            group={dimension: getattr(row, dimension.value) for dimension in group_by},
            num_requests=row.num_requests,
            usage=Usage(
                input_tokens=int(row.input_tokens),
                cached_tokens=int(row.cached_tokens),
                output_tokens=int(row.output_tokens),
                audio_seconds=int(row.audio_seconds),
                training_tokens=int(row.training_tokens),
            ),
            charge_nano=int(row.charge_nano),
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
        charge_nano=row.charge_nano,
        outcome=Outcome(row.outcome),
        usage=Usage(
            input_tokens=row.input_tokens,
            cached_tokens=row.cached_tokens,
            output_tokens=row.output_tokens,
            audio_seconds=row.audio_seconds,
            training_tokens=row.training_tokens,
            images=tuple((size, count) for size, count in row.images),
        ),
        num_choices=row.num_choices,
        is_stream=row.is_stream,
        queue_seconds=row.queue_seconds,
        ttft_seconds=row.ttft_seconds,
        e2e_seconds=row.e2e_seconds,
        user=row.end_user,
        metadata=row.metadata,
        doubt=None if row.doubt is None else Doubt(row.doubt),
    )
