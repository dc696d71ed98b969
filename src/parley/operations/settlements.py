"""Settles requests: usage record, ledger entries and the hold's end are one unit of work. Keeps what runs long meanwhile."""

import logging
from collections.abc import Sequence
from functools import partial

import msgspec
from msgspec import Struct

from parley.core.claim import Claim
from parley.core.hold import Hold
from parley.core.price import FREE
from parley.core.principal import Principal
from parley.core.usage import Outcome, UsageRecord
from parley.domain.billing.books import Closed
from parley.domain.billing.memos import Seal
from parley.domain.billing.service import Billing
from parley.domain.idempotency.service import Replies
from parley.domain.usage.model import digest_of
from parley.domain.usage.service import UsageRecords
from parley.infra.db import Connection, Database, Transaction

_log = logging.getLogger(__name__)


class _Settled(Struct, frozen=True, kw_only=True):
    """One request's end, as it goes to the writer."""

    record: UsageRecord
    closed: Closed
    is_journalled: bool
    claim: Claim | None


class HoldState(msgspec.Struct, kw_only=True):
    """What is kept of a request that runs: the record that it would leave if it ended now."""

    record: UsageRecord
    opened_at: float
    # See Principal.
    counted_as: str | None = None
    # Whether its organization was open, so that no balance covers it; None: kept by a version that did not say.
    is_free: bool | None = None


class Settlements:
    """What serving settles into. All verbs fail closed: a request whose end is not durable must not look finished."""

    def __init__(self, database: Database, usage: UsageRecords, billing: Billing, replies: Replies) -> None:
        self._database = database
        self._usage = usage
        self._billing = billing
        self._replies = replies
        # The writer knows what goes together by the identity of these.
        self._write_settled = self._keep_settled
        self._write_holds = self._keep_holds

    async def settle(self, hold: Hold, record: UsageRecord) -> None:
        """Charge the hold, give back its rest, keep the record: durable when this returns, and harmless to repeat.

        A caller that is cancelled does not stop it. Raises DatabaseFailed; and what the database refuses of this request alone,
        which is then neither kept nor charged.
        """
        if not hold.is_open:
            return
        is_journalled = hold.is_journalled
        closed = self._billing.books.close(hold, record.charge_nano)
        await self._database.append(
            self._write_settled,
            _Settled(
                record=record,
                closed=closed,
                is_journalled=is_journalled,
                # Only what came to its end is not to be done again.
                claim=hold.claim if record.outcome is Outcome.FINISHED else None,
            ),
            on_refused=partial(self._take_back, closed, record.request_id),
        )

    def cover(self, hold: Hold, nano: int) -> None:
        """Hold so much more for what a request has used already, as far as the balance and the budgets allow."""
        self._billing.books.cover(hold, nano)

    def release(self, hold: Hold) -> None:
        """Give back a hold whose request will not be settled. Any number of times, also after settling."""
        self._billing.books.release(hold)

    async def checkpoint(self, running: Sequence[tuple[Hold, UsageRecord]]) -> None:
        """Keep what requests have used so far, for the case that this process dies. Durable when this returns."""
        rows = []
        for hold, record in running:
            if hold.is_open:
                hold.is_journalled = True
                state = HoldState(
                    record=record,
                    opened_at=hold.opened_at,
                    counted_as=hold.principal.counted_as,
                    is_free=self._billing.books.is_open_organization(record.organization_id),
                )
                rows.append((hold, msgspec.json.encode(state)))
        if rows:
            await self._database.append(self._write_holds, rows)

    def _take_back(self, closed: Closed, request_id: str) -> None:
        # Else the books would charge what the ledger does not know of, and the reconciler freeze the account for it.
        _log.error("a request could not be settled and is not charged", extra={"request_id": request_id})
        self._billing.books.take_back(closed)

    def _keep_settled(self, connection: Connection, items: Sequence[_Settled]) -> None:
        if len(items) == 1 and self._usage.has(connection, items[0].record.request_id):
            _log.error("a request was settled twice", extra={"request_id": items[0].record.request_id})
            return
        self._usage.keep(connection, [item.record for item in items])
        self._billing.keep_closed(connection, [(item.closed, _seal(item.record)) for item in items])
        self._replies.settle(connection, [(item.claim, item.record.request_id) for item in items if item.claim])
        self._billing.drop_holds(connection, [item.record.request_id for item in items if item.is_journalled])

    def _keep_holds(self, connection: Connection, items: Sequence[Sequence[tuple[Hold, bytes]]]) -> None:
        for rows in items:
            self._billing.keep_holds(connection, rows)


def settle_orphans(transaction: Transaction, usage: UsageRecords, billing: Billing) -> int:
    """Settle what a process that died left open, each request once, by what was last kept of it; how many there were.

    What the client had before the last checkpoint is charged; what came after it is nowhere, and is not.
    """
    connection = transaction.connection
    orphans = billing.kept_holds(connection)
    for request_id, state in orphans:
        if usage.has(connection, request_id):
            continue
        held = msgspec.json.decode(state, type=HoldState)
        record = held.record
        hold = Hold(
            request_id=request_id,
            principal=Principal(
                organization_id=record.organization_id,
                project_id=record.project_id,
                key_id=record.key_id,
                scopes=frozenset(),
                counted_as=held.counted_as,
            ),
            price=FREE,
            amount_nano=record.charge_nano,
            opened_at=held.opened_at,
            num_output_tokens=record.usage.output_tokens,
        )
        billing.books.adopt(hold)
        # In the month in which its record counts, which may be over.
        closed = billing.books.close(hold, record.charge_nano, is_free=held.is_free, at=record.created_at)
        usage.keep(connection, [record])
        billing.keep_closed(connection, [(closed, _seal(record))])
    billing.drop_holds(connection, [request_id for request_id, _ in orphans])
    return len(orphans)


def _seal(record: UsageRecord) -> Seal:
    return Seal(request_id=record.request_id, digest=digest_of(record))
