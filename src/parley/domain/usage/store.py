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
    select,
    text,
)

from parley.core.usage import Outcome, Usage, UsageRecord
from parley.domain.usage.model import RecordFilter

METADATA = MetaData()

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
)

# Written out: as an expression it costs several times as much for each row. SQLite and PostgreSQL both read this.
_names = [column.name for column in _records.columns]
_INSERT = text(
    f"INSERT INTO usage_records ({', '.join(_names)}) VALUES ({', '.join(f':{name}' for name in _names)})"  # noqa: S608
)


def insert_records(connection: Connection, records: Sequence[UsageRecord]) -> None:
    """Keep records. Raises IntegrityError where one of the requests has its record already."""
    connection.execute(_INSERT, [_to_row(record) for record in records])


def has_record(connection: Connection, request_id: str) -> bool:
    """Whether the request has its record."""
    return (
        connection.execute(select(_records.c.request_id).where(_records.c.request_id == request_id)).first() is not None
    )


def _to_row(record: UsageRecord) -> dict[str, Any]:
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
        "charge_nano": record.charge_nano,
        "outcome": record.outcome.value,
        "input_tokens": record.usage.input_tokens,
        "cached_tokens": record.usage.cached_tokens,
        "output_tokens": record.usage.output_tokens,
        "audio_seconds": record.usage.audio_seconds,
        "training_tokens": record.usage.training_tokens,
        "images": json.dumps(record.usage.images) if record.usage.images else "[]",
        "num_choices": record.num_choices,
        "is_stream": record.is_stream,
        "queue_seconds": record.queue_seconds,
        "ttft_seconds": record.ttft_seconds,
        "e2e_seconds": record.e2e_seconds,
        "end_user": record.user,
        "metadata": json.dumps(dict(record.metadata)) if record.metadata else "{}",
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
    )
