"""The usage records' verbs: keep one per request, and read them back."""

from collections.abc import Sequence

from parley.core.usage import UsageRecord
from parley.domain.usage import store
from parley.domain.usage.model import Dimension, RecordFilter, SumFilter, UsageSum
from parley.infra.db import Database


class UsageRecords:
    """One line per admitted request."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, record: UsageRecord) -> None:
        """Keep a record; it is durable when this returns. Its request's second record is ignored, so repeating is harmless.

        A caller that is cancelled does not stop it. Raises DatabaseFailed: fail closed, the request must not look settled.
        """
        await self._database.append(store.INSERT_ONCE, store.to_row(record))

    async def list_records(self, wanted: RecordFilter | None = None, *, limit: int = 1000) -> list[UsageRecord]:
        """The newest `limit` records that pass the filter, the newest first."""
        return await self._database.read(
            lambda connection: store.list_records(connection, wanted or RecordFilter(), limit=limit)
        )

    async def sums(
        self, wanted: SumFilter, spans: Sequence[tuple[float, float]], group_by: Sequence[Dimension]
    ) -> list[list[UsageSum]]:
        """What was used in each span of time (its end excluded), in groups. Spans without use have no groups."""
        return await self._database.read(
            lambda connection: [
                store.sums(connection, wanted, since=since, until=until, group_by=group_by) for since, until in spans
            ]
        )
