"""What is said of a statement that fails: which one it was and why, and nothing of what it was to keep."""

import io
import logging

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from parley.infra.db import Connection, Database
from parley.infra.logs import configure_logging
from parley.infra.rows import insert_into

SECRET = "$argon2id$v=19$hash"
NAMES = insert_into("told", ["name"])


def insert_by_expression(connection: Connection) -> None:
    connection.execute(text("INSERT INTO told VALUES (:name)"), {"name": SECRET})


def insert_many_by_expression(connection: Connection) -> None:
    connection.execute(text("INSERT INTO told VALUES (:name)"), [{"name": SECRET}, {"name": "other"}])


def insert_by_rows(connection: Connection) -> None:
    NAMES.execute(connection, [(SECRET,), ("other",)])


@pytest.fixture(autouse=True)
def _root_as_it_was():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("insert", [insert_by_expression, insert_many_by_expression, insert_by_rows])
async def test_the_log_of_a_statement_that_fails_has_none_of_its_values(place, insert):
    log = io.StringIO()
    configure_logging(level="info", style="json", stream=log)
    async with await Database.open(place) as database:
        await database.transaction(lambda t: t.connection.execute(text("CREATE TABLE told (name TEXT UNIQUE)")))
        await database.transaction(lambda t: insert(t.connection))
        try:
            await database.transaction(lambda t: insert(t.connection))
        except DBAPIError:
            logging.getLogger("parley.test").exception("request failed")
    assert "INSERT INTO told" in log.getvalue()
    assert "IntegrityError" in log.getvalue()
    assert SECRET not in log.getvalue()


async def test_the_log_of_a_query_that_fails_has_none_of_its_values(place):
    log = io.StringIO()
    configure_logging(level="info", style="json", stream=log)
    async with await Database.open(place) as database:
        try:
            await database.read(lambda c: c.execute(text("SELECT 1 FROM nowhere WHERE x = :x"), {"x": SECRET}))
        except DBAPIError:
            logging.getLogger("parley.test").exception("request failed")
    assert "FROM nowhere" in log.getvalue()
    assert SECRET not in log.getvalue()
