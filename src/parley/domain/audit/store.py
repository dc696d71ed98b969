"""The audit log's table and all SQL on it: inserts and selects, nothing else."""

from typing import Any, Literal

from sqlalchemy import JSON, Column, Connection, Double, Integer, MetaData, Row, Select, String, Table, select

from parley.core.actor import ActorKind
from parley.core.pages import Page, PageRequest, page_ahead, page_of, unknown_cursor
from parley.domain.audit.model import AuditEntry, AuditFilter, Change

METADATA = MetaData()

_log = Table(
    "audit_log",
    METADATA,
    # The order in which entries were written, which a clock that jumps cannot say.
    Column("position", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("effective_at", Double, nullable=False),
    Column("organization_id", String(64), nullable=False, index=True),
    Column("project_id", String(64), nullable=True),
    Column("type", String(64), nullable=False),
    Column("resource_id", String(256), nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("actor_user_id", String(64), nullable=True),
    Column("actor_email", String(254), nullable=True),
    Column("address", String(64), nullable=True),
    Column("user_agent", String(256), nullable=True),
    Column("before", JSON(none_as_null=True), nullable=True),
    Column("after", JSON(none_as_null=True), nullable=True),
)


def insert(connection: Connection, entry: AuditEntry) -> None:
    change = entry.change
    connection.execute(
        _log.insert().values(
            id=entry.id,
            effective_at=entry.effective_at,
            organization_id=change.organization_id,
            project_id=change.project_id,
            type=change.type,
            resource_id=change.resource_id,
            actor_kind=entry.actor_kind.value,
            actor_id=entry.actor_id,
            actor_user_id=entry.actor_user_id,
            actor_email=entry.actor_email,
            address=entry.address,
            user_agent=entry.user_agent,
            before=None if change.before is None else dict(change.before),
            after=None if change.after is None else dict(change.after),
        )
    )


def list_entries(
    connection: Connection, organization_id: str | None, wanted: AuditFilter, page: PageRequest
) -> Page[AuditEntry]:
    """Entries of one organization, or of all, the newest first. Raises InvalidRequest for a cursor that is none of them."""
    query = _filtered(select(_log), organization_id, wanted)
    if page.before is not None:
        position = _position(connection, organization_id, page.before, "before")
        newer = query.where(_log.c.position > position).order_by(_log.c.position).limit(page.limit + 1)
        return page_ahead([_entry(row) for row in connection.execute(newer)], page.limit)
    query = _behind(connection, query, organization_id, page.after)
    return page_of([_entry(row) for row in connection.execute(query.limit(page.limit + 1))], page.limit)


def last_of_page(
    connection: Connection, organization_id: str | None, wanted: AuditFilter, page: PageRequest
) -> str | None:
    """The id of the last entry of a page behind a cursor, where others follow it. Raises InvalidRequest as `list_entries` does."""
    query = _filtered(select(_log.c.id), organization_id, wanted)
    query = _behind(connection, query, organization_id, page.after)
    ids = connection.execute(query.offset(page.limit - 1).limit(2)).scalars().all()
    return ids[0] if len(ids) == 2 else None


def _position(
    connection: Connection, organization_id: str | None, cursor: str, name: Literal["after", "before"]
) -> int:
    """Where the entry stands that the cursor of this name names."""
    query = select(_log.c.position).where(_log.c.id == cursor)
    if organization_id is not None:
        query = query.where(_log.c.organization_id == organization_id)
    position: int | None = connection.execute(query).scalar()
    if position is None:
        raise unknown_cursor(name)
    return position


def _behind(connection: Connection, query: Select[Any], organization_id: str | None, after: str | None) -> Select[Any]:
    """The newest first; of those behind a cursor, where there is one."""
    if after is not None:
        query = query.where(_log.c.position < _position(connection, organization_id, after, "after"))
    return query.order_by(_log.c.position.desc())


def _filtered(query: Select[Any], organization_id: str | None, wanted: AuditFilter) -> Select[Any]:
    if organization_id is not None:
        query = query.where(_log.c.organization_id == organization_id)
    if wanted.since is not None:
        query = query.where(_log.c.effective_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_log.c.effective_at <= wanted.until)
    for column, values in (
        (_log.c.type, wanted.types),
        (_log.c.project_id, wanted.project_ids),
        (_log.c.actor_id, wanted.actor_ids),
        (_log.c.actor_email, wanted.actor_emails),
        (_log.c.resource_id, wanted.resource_ids),
    ):
        if values:
            query = query.where(column.in_(sorted(values)))
    return query


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        effective_at=row.effective_at,
        change=Change(
            type=row.type,
            organization_id=row.organization_id,
            resource_id=row.resource_id,
            project_id=row.project_id,
            before=row.before,
            after=row.after,
        ),
        actor_kind=ActorKind(row.actor_kind),
        actor_id=row.actor_id,
        actor_user_id=row.actor_user_id,
        actor_email=row.actor_email,
        address=row.address,
        user_agent=row.user_agent,
    )
