"""Usage records: one per request, whole, durable, and harmless to repeat."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import structs
from sqlalchemy.exc import IntegrityError

from parley.core.usage import Outcome, Usage, UsageRecord
from parley.domain.usage.model import RecordFilter
from parley.domain.usage.service import UsageRecords
from parley.infra.db import Database
from tests.builders_records import usage_record


class Kept:
    """Usage records on a database of their own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._usage = UsageRecords(database)
        self.list_records = self._usage.list_records

    async def record(self, record: UsageRecord) -> None:
        await self._database.transaction(lambda transaction: self._usage.keep(transaction.connection, [record]))


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Kept]:
    async with await Database.open(tmp_path / "parley.db") as database:
        yield Kept(database)


async def test_a_record_comes_back_as_it_was(records: Kept) -> None:
    await records.record(usage_record())
    assert await records.list_records() == [usage_record()]


async def test_a_record_without_its_optional_fields_comes_back_as_it_was(records: Kept) -> None:
    record = structs.replace(usage_record(), ttft_seconds=None, user=None, metadata={}, outcome=Outcome.ABORTED)
    await records.record(record)
    assert await records.list_records() == [record]


async def test_a_second_record_of_a_request_is_refused(records: Kept) -> None:
    await records.record(usage_record())
    with pytest.raises(IntegrityError):
        await records.record(structs.replace(usage_record(), usage=Usage(input_tokens=999)))
    assert await records.list_records() == [usage_record()]


async def test_hostile_text_is_kept_as_text(records: Kept) -> None:
    record = structs.replace(usage_record(), user="'); DROP TABLE usage_records; --", metadata={"\x00": "☃\n"})
    await records.record(record)
    assert await records.list_records() == [record]


async def test_records_are_listed_newest_first_by_time_and_key(records: Kept) -> None:
    for number in range(5):
        key_id = "key_even" if number % 2 == 0 else "key_odd"
        await records.record(structs.replace(usage_record(f"req_{number}"), created_at=100.0 + number, key_id=key_id))

    async def listed(wanted: RecordFilter, limit: int = 1000) -> list[str]:
        return [record.request_id for record in await records.list_records(wanted, limit=limit)]

    assert await listed(RecordFilter(), limit=2) == ["req_4", "req_3"]
    assert await listed(RecordFilter(since=101.0, until=103.0)) == ["req_2", "req_1"]
    assert await listed(RecordFilter(key_id="key_odd")) == ["req_3", "req_1"]
    assert await listed(RecordFilter(request_id="req_0")) == ["req_0"]
