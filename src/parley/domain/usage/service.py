"""The usage records' verbs: keep one per request, and read them back."""

from collections.abc import Sequence

from parley.core.usage import UsageRecord
from parley.domain.usage import store
from parley.domain.usage.model import Dimension, RecordFilter, SumFilter, UsageSum
from parley.infra.db import Connection, Database


def sum_charges(connection: Connection) -> dict[str, int]:
    """What the records of each organization come to, in nano-dollars."""
    return store.sum_charges(connection)


class UsageRecords:
    """One line per admitted request."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, connection: Connection, records: Sequence[UsageRecord]) -> None:
        """Keep records, inside a unit of work. Refused as a whole where one of the requests has its record already."""
        store.insert_records(connection, records)

    def has(self, connection: Connection, request_id: str) -> bool:
        """Whether the request has its record."""
        return store.has_record(connection, request_id)

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
