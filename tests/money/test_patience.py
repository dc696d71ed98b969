"""B7: a reader does not stay: what takes too long to read is ended, on both kinds of database."""

import inspect

import pytest
from sqlalchemy import text

from parley.core.errors import Overloaded
from parley.infra.db import Connection, Database

_ROWS = "WITH RECURSIVE rows(n) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT n + 1 FROM rows {end}) SELECT count(*) FROM rows"
ENDLESS = text(_ROWS.format(end=""))
# It ends, but not before the reads below that are ended have been.
LONG = text(_ROWS.format(end="WHERE n < 300000"))


def read_endless(connection: Connection) -> object:
    return connection.execute(ENDLESS).scalar()


async def test_b7_a_read_that_takes_too_long_is_ended_and_the_next_one_is_not(place):
    async with await Database.open(place) as database:
        # There are two readers: both are free again.
        for _ in range(3):
            with pytest.raises(Overloaded, match="shorter span"):
                await database.read(read_endless, within_seconds=0.05)
        for within_seconds in (None, 3_600.0):
            read = await database.read(lambda c: c.execute(LONG).scalar(), within_seconds=within_seconds)
            assert read == 300_000


def test_b7_a_reader_stays_for_five_seconds_unless_its_caller_says_otherwise():
    assert inspect.signature(Database.read).parameters["within_seconds"].default == 5.0
