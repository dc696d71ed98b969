"""Usage records: one per request, whole, durable, and harmless to repeat."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from parley.core.usage import Outcome, Usage
from parley.domain.usage.model import RecordFilter
from parley.domain.usage.service import UsageRecords
from parley.infra.db import Database
from tests.builders_records import usage_record


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[UsageRecords]:
    async with await Database.open(tmp_path / "parley.db") as database:
        yield UsageRecords(database)


async def test_a_record_comes_back_as_it_was(records: UsageRecords) -> None:
    await records.record(usage_record())
    assert await records.list_records() == [usage_record()]


async def test_a_record_without_its_optional_fields_comes_back_as_it_was(records: UsageRecords) -> None:
    record = replace(usage_record(), ttft_seconds=None, user=None, metadata={}, outcome=Outcome.ABORTED)
    await records.record(record)
    assert await records.list_records() == [record]


async def test_a_second_record_of_a_request_is_ignored(records: UsageRecords) -> None:
    await records.record(usage_record())
    await records.record(replace(usage_record(), usage=Usage(input_tokens=999)))
    assert await records.list_records() == [usage_record()]


async def test_twins_recorded_together_leave_one(records: UsageRecords) -> None:
    await asyncio.gather(*(records.record(usage_record(f"req_{number % 10}")) for number in range(100)))
    assert sorted(record.request_id for record in await records.list_records()) == [f"req_{n}" for n in range(10)]


async def test_hostile_text_is_kept_as_text(records: UsageRecords) -> None:
    record = replace(usage_record(), user="'); DROP TABLE usage_records; --", metadata={"\x00": "☃\n"})
    await records.record(record)
    assert await records.list_records() == [record]


async def test_records_are_listed_newest_first_by_time_and_key(records: UsageRecords) -> None:
    for number in range(5):
        key_id = "key_even" if number % 2 == 0 else "key_odd"
        await records.record(replace(usage_record(f"req_{number}"), created_at=100.0 + number, key_id=key_id))

    async def listed(wanted: RecordFilter, limit: int = 1000) -> list[str]:
        return [record.request_id for record in await records.list_records(wanted, limit=limit)]

    assert await listed(RecordFilter(), limit=2) == ["req_4", "req_3"]
    assert await listed(RecordFilter(since=101.0, until=103.0)) == ["req_2", "req_1"]
    assert await listed(RecordFilter(key_id="key_odd")) == ["req_3", "req_1"]
    assert await listed(RecordFilter(request_id="req_0")) == ["req_0"]
