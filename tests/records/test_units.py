"""Units of work that are committed together, and again where the first time was for nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import Connection, create_engine, text

from parley.infra.units import Transaction, Work, commit_together


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connected:
        connected.execute(text("CREATE TABLE kept (name TEXT)"))
        connected.commit()
        yield connected
    engine.dispose()


def unit(work: Callable[[Transaction], object]) -> Work:
    return Work(future=asyncio.get_running_loop().create_future(), work=work, call_loop=lambda callback: callback())


def kept(connection: Connection) -> list[str]:
    return list(connection.execute(text("SELECT name FROM kept")).scalars())


async def test_a_unit_that_comes_through_at_the_second_attempt_has_no_error_and_is_told_of_once(
    connection: Connection,
) -> None:
    attempts: list[str] = []

    def work(transaction: Transaction) -> str:
        attempts.append("attempt")
        transaction.on_commit(lambda: None)
        transaction.connection.execute(text("INSERT INTO kept VALUES ('a')"))
        if len(attempts) == 1:
            raise LookupError("not yet")
        return "done"

    one = unit(work)
    commit_together(connection, [one], lambda _: None)
    assert (type(one.error), len(one.callbacks), kept(connection)) == (LookupError, 0, [])
    connection.rollback()
    # As the writer does when the connection was lost before it could know that all was committed.
    commit_together(connection, [one], lambda _: None)
    assert (one.error, one.result, len(one.callbacks), kept(connection)) == (None, "done", 1, ["a"])


async def test_a_unit_that_is_refused_at_the_second_attempt_calls_nothing_back(connection: Connection) -> None:
    attempts: list[str] = []

    def work(transaction: Transaction) -> None:
        attempts.append("attempt")
        transaction.on_commit(lambda: None)
        if len(attempts) == 2:
            raise LookupError("no longer")

    one = unit(work)
    commit_together(connection, [one], lambda _: None)
    assert (one.error, len(one.callbacks)) == (None, 1)
    commit_together(connection, [one], lambda _: None)
    assert (type(one.error), len(one.callbacks)) == (LookupError, 0)
