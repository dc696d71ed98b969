"""Replies that are kept for requests that are sent again."""

from parley.core.claim import Claim
from parley.core.clock import Clock
from parley.domain.idempotency import store
from parley.domain.idempotency.model import KEPT_SECONDS, MAX_KEPT_BYTES, KeptReply
from parley.infra.db import Connection, Database, Transaction

# The writer is held up for no longer.
FORGOTTEN_AT_ONCE = 1000


class Replies:
    """The outcomes of claims, for a day."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, project_id: str, key: str) -> KeptReply | None:
        """What the request under this key came to; None when there was none, or it is forgotten."""
        found = await self._database.read(lambda connection: store.find_reply(connection, project_id, key))
        if found is None or found.finished_at < self._clock.now() - KEPT_SECONDS:
            return None
        return found

    def settle(self, connection: Connection, claims: list[tuple[Claim, str]]) -> None:
        """Note, in the unit of work that charges them, that the claims' requests (by id) are done. Their replies follow."""
        now = self._clock.now()
        rows = [
            KeptReply(
                project_id=claim.project_id,
                key=claim.key,
                fingerprint=claim.fingerprint,
                finished_at=now,
                request_id=request_id,
                status=200,
                body=None,
            )
            for claim, request_id in claims
        ]
        if rows:
            store.put_replies(connection, rows)

    async def keep_body(self, claim: Claim, request_id: str, body: bytes) -> None:
        """Keep the reply itself, before it is sent; one that is too large is not kept."""
        if len(body) > MAX_KEPT_BYTES:
            return
        await self._database.transaction(
            lambda unit: store.keep_body(unit.connection, (claim.project_id, claim.key), request_id, body)
        )

    async def forget_old(self) -> int:
        """Delete some of what is older than a day; how many went: where it is fewer than FORGOTTEN_AT_ONCE, these were all."""
        before = self._clock.now() - KEPT_SECONDS

        def forget(unit: Transaction) -> int:
            return store.forget_before(unit.connection, before, limit=FORGOTTEN_AT_ONCE)

        return await self._database.transaction(forget)
