"""The reconciler: every minute, does the ledger say what the books say? Alerts and freezes; never mends."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from parley.core.actor import Actor, ActorKind
from parley.core.clock import Clock, Steadiness
from parley.core.errors import Overloaded
from parley.core.principal import Principal
from parley.domain.audit.model import Change
from parley.domain.audit.service import AuditLog
from parley.domain.billing.audit import Expected, Finding, check_chain, check_sums
from parley.domain.billing.service import Billing
from parley.domain.billing.verify import Position
from parley.domain.idempotency.service import FORGOTTEN_AT_ONCE, Replies
from parley.infra.db import Connection, Database, Transaction

PERIOD_SECONDS = 60.0
# Entries of the chain walked in each round: a small ledger whole, a large one piece by piece, in a day 70 million.
ENTRIES_PER_ROUND = 50_000
# How the audit log knows it.
_NAME = "reconciler"

_log = logging.getLogger(__name__)


class Reconciler:
    """`run` goes on until it is cancelled. `findings` are those of the last round: empty when all is well.

    `check_room` raises Overloaded on a full disk.
    """

    def __init__(
        self,
        database: Database,
        billing: Billing,
        replies: Replies,
        audit: AuditLog,
        clock: Clock,
        check_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._audit = audit
        self._billing = billing
        self._replies = replies
        self._steadiness = Steadiness(clock)
        self._check_room = check_room
        self._position = Position()
        self.findings: Sequence[Finding] = ()

    async def run(self) -> None:
        """A round now and then every minute. Raises DatabaseFailed."""
        while True:
            await self.round()
            await asyncio.sleep(PERIOD_SECONDS)

    async def round(self) -> None:
        """Check once; before that, write off what expired, where the clock that says so can be believed."""
        if self._steadiness.is_steady():
            await self.expire()
        try:
            await self.check()
        except Overloaded:
            # The database's server restarts. What could not be read now is read by the next round.
            _log.warning("the ledger could not be checked")

    async def expire(self) -> None:
        """Post what is left of grants whose time is over; forget the keys of yesterday's requests. For good, both of it."""
        num_forgotten = FORGOTTEN_AT_ONCE
        with suppress(Overloaded):
            # Some at a time: what waits for the writer has its turn between two of them.
            while num_forgotten == FORGOTTEN_AT_ONCE:
                # To delete takes room, too, which is for settlements.
                self._check_room()
                num_forgotten = await self._replies.forget_old()
        postings = self._billing.books.expire()
        if postings:
            await self._database.transaction(lambda unit: self._billing.post(unit.connection, postings))

    async def check(self) -> Sequence[Finding]:
        """One round. What does not agree is logged as an error, and the accounts that it touches are frozen.

        Raises Overloaded where the database cannot be read, DatabaseFailed.
        """
        expected = await self._expected()
        seq, start = expected.seq, self._position

        def walk(connection: Connection) -> tuple[Position, Finding | None]:
            return check_chain(connection, start, max_entries=ENTRIES_PER_ROUND)

        # Each in a transaction of its own: what cannot be read in one keeps the other from nothing.
        position, finding = await self._database.read(walk, within_seconds=None)
        findings = [] if finding is None else [finding]
        findings += await self._database.read(lambda connection: check_sums(connection, expected), within_seconds=None)
        # At the end it begins again.
        self._position = position if position.seq < seq and not findings else Position()
        self.findings = findings
        for finding in findings:
            _log.error("the ledger does not agree", extra={"finding": finding.text})
            await self._freeze(finding)
        return findings

    async def _expected(self) -> Expected:
        """What the ledger comes to at its last entry, by the books.

        What leaves an account left the books before its entry was handed to the writer, so all of it that the books know now
        is in the ledger at the entry that is asked for here, and no more. What comes to an account is in the ledger first:
        there may be some at that entry that the books learn of while this is under way.
        """
        books = self._billing.books
        booked, before = books.balances(), books.arrived()
        after: dict[str, int] = {}

        def mark(unit: Transaction) -> int:
            # In the loop these come in the order of the commits: behind what is in the ledger by now, before what is not.
            unit.on_commit_in_loop(lambda: after.update(books.arrived()))
            return self._billing.last_entry(unit.connection)

        seq = await self._database.transaction(mark)
        for account, nano in after.items():
            if nano != before.get(account, 0):
                booked[account] = booked.get(account, 0) + nano - before.get(account, 0)
        return Expected(seq=seq, balances=booked)

    async def _freeze(self, finding: Finding) -> None:
        for organization_id in sorted(finding.organizations):
            if not self._billing.books.account(organization_id).is_frozen:
                _log.error("account frozen", extra={"organization_id": organization_id})
                await self._database.transaction(partial(self._keep_frozen, organization_id, finding.text))

    def _keep_frozen(self, organization_id: str, reason: str, unit: Transaction) -> None:
        self._billing.set_frozen(unit, organization_id, reason=reason)
        nobody = Principal(organization_id=organization_id, project_id="", key_id=_NAME, scopes=frozenset())
        seen = {"id": organization_id, "organization_id": organization_id}
        change = Change(
            type="account.frozen",
            organization_id=organization_id,
            resource_id=organization_id,
            before=seen | {"frozen": None},
            after=seen | {"frozen": reason},
        )
        self._audit.note(unit, Actor(kind=ActorKind.SERVER, principal=nobody), change)
