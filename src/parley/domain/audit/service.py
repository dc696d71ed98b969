"""The audit log's verbs: note a change, and read the log."""

from parley.core.actor import Actor
from parley.core.clock import Clock
from parley.core.ids import new_id
from parley.core.pages import Page, PageRequest
from parley.domain.audit import store
from parley.domain.audit.model import AuditEntry, AuditFilter, Change
from parley.infra.db import Connection, Transaction

_MAX_USER_AGENT_CHARACTERS = 256


class AuditLog:
    """An append-only list of changes; the database itself refuses to change or delete an entry."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def note(self, transaction: Transaction, actor: Actor, change: Change, *, email: str | None = None) -> AuditEntry:
        """Add an entry to the unit of work that makes the change: both are kept, or neither. `email` is the actor's."""
        entry = AuditEntry(
            id=new_id("audit_log-"),
            effective_at=self._clock.now(),
            change=change,
            actor_kind=actor.kind,
            actor_id=actor.principal.key_id,
            actor_user_id=actor.principal.user_id,
            actor_email=email,
            address=actor.address,
            user_agent=None if actor.user_agent is None else actor.user_agent[:_MAX_USER_AGENT_CHARACTERS],
        )
        store.insert(transaction.connection, entry)
        return entry

    def last_of_page(
        self, connection: Connection, organization_id: str | None, wanted: AuditFilter, page: PageRequest
    ) -> str | None:
        """The id of the last entry of a page behind a cursor, where others follow it; without reading the page."""
        return store.last_of_page(connection, organization_id, wanted, page)

    def list_entries(
        self,
        connection: Connection,
        organization_id: str | None,
        wanted: AuditFilter,
        page: PageRequest,
    ) -> Page[AuditEntry]:
        """Entries of one organization, or of all, the newest first. Raises InvalidRequest for a cursor that is none of them."""
        return store.list_entries(connection, organization_id, wanted, page)
