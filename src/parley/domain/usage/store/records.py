"""SQL on usage records."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select
from sqlalchemy.exc import DBAPIError

from parley.core.usage import Doubt, Outcome, Usage, UsageRecord
from parley.domain.usage.model import RecordFilter, kept_text
from parley.domain.usage.store.tables import COUNTED, usage_records
from parley.infra.rows import RowStatement, insert_into

# What reading a row raises that somebody wrote nonsense into.
_DAMAGE = (ValueError, TypeError, ArithmeticError, DBAPIError)
_INSERT = insert_into("usage_records", [column.name for column in usage_records.columns])
_FIND = RowStatement(sql="SELECT 1 FROM usage_records WHERE request_id = ?")


def insert_records(connection: Connection, records: Sequence[UsageRecord]) -> None:
    """Keep records. Raises IntegrityError where one of the requests has its record already."""
    _INSERT.execute(connection, [_to_row(record) for record in records])


def has_record(connection: Connection, request_id: str) -> bool:
    """Whether the request has its record."""
    return _FIND.fetch(connection, (request_id,)) is not None


def find_records(connection: Connection, request_ids: Sequence[str]) -> dict[str, UsageRecord | None]:
    """The records of these requests, of those that have one; None: there is a row, and it cannot be read."""
    query = select(usage_records).where(usage_records.c.request_id.in_(request_ids))
    try:
        return {row.request_id: _record(row) for row in connection.execute(query)}
    except _DAMAGE:
        if len(request_ids) == 1:
            return {request_ids[0]: None}
    # One by one, to learn which it is.
    return {key: record for each in request_ids for key, record in find_records(connection, [each]).items()}


def count_records(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(usage_records)).scalar_one())


def sum_records(connection: Connection) -> dict[tuple[str, str], int]:
    """What the records of each organization come to: (organization, name of a count) -> sum."""
    of = usage_records.c
    counts = [
        func.count().label(name) if name == "num_requests" else func.sum(of[name]).label(name) for name in COUNTED
    ]
    rows = connection.execute(select(of.organization_id, *counts).group_by(of.organization_id))
    return {(row.organization_id, name): int(getattr(row, name)) for row in rows for name in COUNTED}


def _to_row(record: UsageRecord) -> tuple[Any, ...]:
    """The values of a record, in the order of the table's columns."""
    usage = record.usage
    return (
        record.request_id,
        record.created_at,
        record.organization_id,
        record.project_id,
        record.key_id,
        record.user_id,
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
        kept_text(record.user),
        json.dumps(dict(record.metadata)) if record.metadata else "{}",
        None if record.doubt is None else record.doubt.value,
    )


def list_records(connection: Connection, wanted: RecordFilter, *, limit: int) -> list[UsageRecord]:
    """The newest `limit` records that pass the filter, the newest first."""
    query = (
        select(usage_records)
        .order_by(usage_records.c.created_at.desc(), usage_records.c.request_id.desc())
        .limit(limit)
    )
    if wanted.since is not None:
        query = query.where(usage_records.c.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(usage_records.c.created_at < wanted.until)
    if wanted.key_id is not None:
        query = query.where(usage_records.c.key_id == wanted.key_id)
    if wanted.request_id is not None:
        query = query.where(usage_records.c.request_id == wanted.request_id)
    return [_record(row) for row in connection.execute(query)]


def _record(row: Row[tuple[object, ...]]) -> UsageRecord:
    return UsageRecord(
        request_id=row.request_id,
        created_at=row.created_at,
        organization_id=row.organization_id,
        project_id=row.project_id,
        key_id=row.key_id,
        user_id=row.user_id,
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
