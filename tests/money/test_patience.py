"""B7: a reader reads one state and does not stay on it: what takes too long is ended. A server that restarts is waited for."""

import asyncio
import inspect
import threading

import pytest
from sqlalchemy import text

from parley.core.errors import Overloaded
from parley.infra.db import Connection, Database
from parley.operations.reconcile import Reconciler
from tests.builders_billing import open_money
from tests.postgres import MISSING, crash, end_sessions, is_installed, running_cluster, stop

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


async def test_b7_all_of_a_read_sees_one_state(place):
    async with open_money(place) as bench:
        await bench.top_up(1, key="before")
        has_looked, is_changed = threading.Event(), threading.Event()

        def look(connection: Connection) -> list[int | None]:
            seqs = [bench.billing.last_entry(connection)]
            has_looked.set()
            is_changed.wait(30)
            return [*seqs, bench.billing.last_entry(connection)]

        async def change() -> None:
            await asyncio.to_thread(has_looked.wait, 30)
            await bench.top_up(1, key="meanwhile")
            is_changed.set()

        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(bench.database.read(look, within_seconds=None))
            tasks.create_task(change())
        first, second = reading.result()
        assert first == second
        assert await bench.database.read(bench.billing.last_entry) > first


def test_b7_a_reader_stays_for_five_seconds_unless_its_caller_says_otherwise():
    assert inspect.signature(Database.read).parameters["within_seconds"].default == 5.0


async def test_b7_a_server_that_restarts_is_waited_for_and_one_that_stays_away_is_not():
    if not is_installed():
        pytest.skip(MISSING)
    with running_cluster() as folder:
        # After the first restart the server is no longer the process that was started above.
        crash(folder)
        try:
            async with await Database.open(f"postgresql://parley@/postgres?host={folder}") as database:

                async def one(within_seconds: float | None) -> object:
                    return await database.read(
                        lambda c: c.execute(text("SELECT 1")).scalar(), within_seconds=within_seconds
                    )

                assert await one(5.0) == 1
                await asyncio.to_thread(stop, folder)
                with pytest.raises(Overloaded, match="at the moment"):
                    await one(0.1)
                waiting = [asyncio.create_task(one(within_seconds)) for within_seconds in (60.0, None)]
                await asyncio.sleep(0.2)
                assert not any(task.done() for task in waiting)
                await asyncio.to_thread(crash, folder)
                assert await asyncio.gather(*waiting) == [1, 1]
        finally:
            stop(folder)


async def test_b7_a_read_whose_session_ends_meanwhile_can_be_retried(postgres_url):
    async with await Database.open(postgres_url) as database:
        is_running = threading.Event()

        def read(connection: Connection) -> object:
            is_running.set()
            return connection.execute(ENDLESS).scalar()

        async def end() -> None:
            await asyncio.to_thread(is_running.wait, 10)
            await asyncio.to_thread(end_sessions, postgres_url)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(end())
            with pytest.raises(Overloaded, match="at the moment"):
                await database.read(read, within_seconds=None)
        assert await database.read(lambda c: c.execute(text("SELECT 1")).scalar()) == 1


async def test_the_reconciler_outlives_a_round_that_could_not_be_read(postgres_url, monkeypatch):
    num_rounds, is_over = 0, asyncio.Event()

    async def check(self: Reconciler) -> None:
        nonlocal num_rounds
        num_rounds += 1
        if num_rounds == 1:
            raise Overloaded("The records cannot be read at the moment.", retry_after_seconds=2.0)
        is_over.set()

    monkeypatch.setattr(Reconciler, "check", check)
    monkeypatch.setattr("parley.operations.reconcile.PERIOD_SECONDS", 0.01)
    async with open_money(postgres_url) as bench:
        running = asyncio.create_task(bench.reconciler().run())
        async with asyncio.timeout(10):
            await is_over.wait()
        running.cancel()
