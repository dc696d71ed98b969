"""The usage records' verbs: keep one per request, and read them back."""

from collections.abc import Sequence

from parley.core.usage import UsageRecord
from parley.domain.usage.model import Dimension, RecordFilter, Span, SumFilter, UsageSum
from parley.domain.usage.store import records as store
from parley.domain.usage.store import sums as sums_store
from parley.infra.db import Connection, Database


def sum_charges(connection: Connection) -> dict[str, int]:
    """What the records of each organization come to, in nano-dollars."""
    return store.sum_charges(connection)


def sum_charges_of_days(connection: Connection) -> dict[str, int]:
    """What the kept sums of each organization come to, in nano-dollars; it should be the same."""
    return sums_store.sum_charges(connection)


def usage_sums(
    connection: Connection, wanted: SumFilter, span: Span, group_by: Sequence[Dimension], *, limit: int | None = None
) -> list[UsageSum]:
    """What was used in each step of the span, in groups, in the order of time and names; at most `limit` of them.

    Steps without use have no groups. It reads sums, not records: what it takes does not grow with the number of requests.
    """
    return sums_store.read_sums(connection, wanted, span, group_by, limit=limit)


class UsageRecords:
    """One line per admitted request."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, connection: Connection, records: Sequence[UsageRecord]) -> None:
        """Keep records and add them to the sums, inside a unit of work.

        Refused as a whole where one of the requests has its record already.
        """
        store.insert_records(connection, records)
        sums_store.add_to_sums(connection, records)

    def has(self, connection: Connection, request_id: str) -> bool:
        """Whether the request has its record."""
        return store.has_record(connection, request_id)

    async def list_records(self, wanted: RecordFilter | None = None, *, limit: int = 1000) -> list[UsageRecord]:
        """The newest `limit` records that pass the filter, the newest first."""
        return await self._database.read(
            lambda connection: store.list_records(connection, wanted or RecordFilter(), limit=limit)
        )

    async def sums(self, wanted: SumFilter, span: Span, group_by: Sequence[Dimension]) -> list[UsageSum]:
        """See `usage_sums`."""
        return await self._database.read(lambda connection: usage_sums(connection, wanted, span, group_by))
