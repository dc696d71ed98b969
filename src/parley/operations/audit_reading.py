"""The audit log as rows of a file, and read where it lies, from outside the server."""

from collections.abc import Iterator

from parley.core.clock import SystemClock
from parley.core.pages import PageRequest
from parley.domain.accounts.ring import Ring
from parley.domain.accounts.service import Accounts
from parley.domain.audit.model import AuditEntry, AuditFilter
from parley.domain.audit.service import AuditLog
from parley.infra.db import reading
from parley.infra.settings import Settings

EXPORTED = (
    "id",
    "effective_at",
    "organization_id",
    "type",
    "resource_id",
    "project_id",
    "actor_kind",
    "actor_id",
    "actor_user_id",
    "actor_email",
    "address",
    "user_agent",
    "before",
    "after",
)
_PAGE_ENTRIES = 10_000


def exported(entry: AuditEntry) -> tuple[object, ...]:
    """An entry as EXPORTED names its parts."""
    change = entry.change
    return (
        entry.id,
        entry.effective_at,
        change.organization_id,
        change.type,
        change.resource_id,
        change.project_id,
        entry.actor_kind.value,
        entry.actor_id,
        entry.actor_user_id,
        entry.actor_email,
        entry.address,
        entry.user_agent,
        change.before,
        change.after,
    )


def read_audit_log(settings: Settings, organization_id: str | None, wanted: AuditFilter) -> Iterator[AuditEntry]:
    """Entries of one organization, or of all, the newest first. Blocks; raises DatabaseRefused, NotFound.

    Each page is read by itself: entries never change, and a reader that stays keeps the database's log from being folded.
    """
    if organization_id is not None:
        clock = SystemClock()
        with reading(settings.database_place) as connection:
            Accounts(Ring(b"", clock), clock).organization(connection, organization_id)
    return _entries(settings, organization_id, wanted)


def _entries(settings: Settings, organization_id: str | None, wanted: AuditFilter) -> Iterator[AuditEntry]:
    log = AuditLog(SystemClock())
    after: str | None = None
    has_more = True
    while has_more:
        with reading(settings.database_place) as connection:
            page = log.list_entries(connection, organization_id, wanted, PageRequest(limit=_PAGE_ENTRIES, after=after))
        yield from page.items
        has_more = page.has_more
        after = page.items[-1].id if page.items else None
