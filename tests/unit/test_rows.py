"""Rows by the driver itself: however many are handed in, each is kept once and in its order, or none."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import IntegrityError

from parley.infra.rows import add_to_row, insert_into

PLACES = insert_into("places", ["id", "name"])
COUNTS = add_to_row("counts", key=["name"], summed=["count", "tokens"])
SPENT = add_to_row("spent", key=["scope", "month"], rest=["owner"], summed=["nano"])


@pytest.fixture(name="connection")
def _connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE places (id INTEGER PRIMARY KEY, name TEXT)"))
        connection.execute(text("CREATE TABLE counts (name TEXT PRIMARY KEY, count INTEGER, tokens INTEGER)"))
        connection.execute(
            text("CREATE TABLE spent (scope TEXT, month TEXT, owner TEXT, nano INTEGER, PRIMARY KEY (scope, month))")
        )
        yield connection
    engine.dispose()


def kept(connection: Connection, table: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY rowid"))]


@pytest.mark.parametrize("num_rows", [0, 1, 2, 8, 9, 63, 64, 65, 300])
def test_each_row_is_kept_once_and_with_its_own_values(connection: Connection, num_rows: int) -> None:
    rows = [(number, f"name {number} ?") for number in range(num_rows)]
    PLACES.execute(connection, rows)
    assert kept(connection, "places") == rows


def test_what_is_there_is_added_to_and_what_is_not_is_new(connection: Connection) -> None:
    COUNTS.execute(connection, [("a", 1, 10), ("b", 2, 20)])
    COUNTS.execute(connection, [("b", 3, 30), ("c", 4, 40), ("a", 0, 1)])
    assert kept(connection, "counts") == [("a", 1, 11), ("b", 5, 50), ("c", 4, 40)]
    COUNTS.execute(connection, [("c", 1, 1), ("c", 1, 1)])
    assert kept(connection, "counts")[-1] == ("c", 6, 42)


def test_rows_of_one_key_are_one_row_of_their_statement(connection: Connection) -> None:
    """PostgreSQL refuses a statement that would add to one row twice."""
    statements: list[str] = []
    connection.connection.driver_connection.set_trace_callback(statements.append)
    SPENT.execute(connection, [("a", "7", "x", 1), ("b", "7", "y", 2), ("a", "8", "x", 4), ("a", "7", "x", 8)])
    SPENT.execute(connection, [("a", "7", "z", 16)])
    assert [each.count("('") for each in statements if each.startswith("INSERT")] == [3, 1]
    assert kept(connection, "spent") == [("a", "7", "x", 25), ("b", "7", "y", 2), ("a", "8", "x", 4)]


def test_one_row_that_is_refused_refuses_the_others_of_its_statement(connection: Connection) -> None:
    with pytest.raises(IntegrityError):
        PLACES.execute(connection, [(1, "a"), (2, "b"), (1, "c")])
    assert kept(connection, "places") == []
