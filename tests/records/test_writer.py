"""The writer: what is answered is durable, units do not disturb each other, and a failed disk ends everything."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, OperationalError

from parley.infra.db import Connection, Database, DatabaseFailed, Transaction

INSERT = text("INSERT INTO organizations (id, name, created_at) VALUES (:id, :name, 1.0)")


def insert(connection: Connection, rows: Sequence[dict[str, str]]) -> None:
    connection.execute(INSERT, list(rows))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path / "parley.db") as opened:
        yield opened


def row(name: str) -> dict[str, str]:
    return {"id": f"org-{name}", "name": name}


def names(connection: Connection) -> list[str]:
    return [found.name for found in connection.execute(text("SELECT name FROM organizations ORDER BY id"))]


class HeldWriter:
    """Keeps the writer's thread busy, so that what is submitted meanwhile waits together."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._release = threading.Event()
        self._is_held = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._unit: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        def hold(_: Transaction) -> None:
            self._loop.call_soon_threadsafe(self._is_held.set)
            self._release.wait(10)

        self._unit = asyncio.ensure_future(self._database.transaction(hold))
        await self._is_held.wait()

    async def __aexit__(self, *_: object) -> None:
        self._release.set()
        await self._unit


async def test_b2_nothing_is_answered_before_its_commit(database: Database) -> None:
    committing, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @event.listens_for(database._write_engine, "commit")
    def hold_commit(_: Connection) -> None:
        loop.call_soon_threadsafe(committing.set)
        go_on.wait(10)

    appended = asyncio.ensure_future(database.append(insert, row("a")))
    await asyncio.wait_for(committing.wait(), 60)
    assert await database.read(names) == []
    assert not appended.done()
    go_on.set()
    await appended
    assert await database.read(names) == ["a"]


async def test_b2_commits_reach_the_disk_and_not_only_the_kernel(database: Database) -> None:
    def pragmas(transaction: Transaction) -> tuple[object, object]:
        execute = transaction.connection.exec_driver_sql
        return execute("PRAGMA synchronous").scalar(), execute("PRAGMA journal_mode").scalar()

    full = 2
    assert await database.transaction(pragmas) == (full, "wal")


async def test_units_that_wait_together_are_committed_together(database: Database) -> None:
    commits: list[int] = []
    event.listen(database._write_engine, "commit", lambda _: commits.append(1))
    async with asyncio.TaskGroup() as group:
        async with HeldWriter(database):
            for number in range(300):
                group.create_task(database.append(insert, row(f"{number:03}")))
            await asyncio.sleep(0)
    assert len(await database.read(names)) == 300
    # The unit that held the writer, then 256 and the rest.
    assert len(commits) == 3


async def test_a_unit_that_fails_undoes_itself_alone(database: Database) -> None:
    def half(transaction: Transaction) -> None:
        transaction.connection.execute(INSERT, row("half"))
        raise LookupError("the second half is missing")

    async with HeldWriter(database):
        before = asyncio.ensure_future(database.append(insert, row("a")))
        failing = asyncio.ensure_future(database.transaction(half))
        after = asyncio.ensure_future(database.append(insert, row("b")))
        await asyncio.sleep(0)
    with pytest.raises(LookupError, match="second half"):
        await failing
    await asyncio.gather(before, after)
    assert await database.read(names) == ["a", "b"]


async def test_a_row_that_is_refused_does_not_take_its_neighbours_along(database: Database) -> None:
    await database.append(insert, row("twice"))
    async with HeldWriter(database):
        rows = [asyncio.ensure_future(database.append(insert, row(name))) for name in ("a", "twice", "b")]
        await asyncio.sleep(0)
    results = await asyncio.gather(*rows, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), IntegrityError, type(None)]
    assert await database.read(names) == ["a", "b", "twice"]


async def test_items_that_wait_together_are_each_kept_by_their_own_write(database: Database) -> None:
    def insert_loudly(connection: Connection, rows: Sequence[dict[str, str]]) -> None:
        insert(connection, [found | {"name": found["name"].upper()} for found in rows])

    async with HeldWriter(database):
        writes = (insert, insert_loudly, insert_loudly, insert)
        rows = [
            asyncio.ensure_future(database.append(write, row(name))) for write, name in zip(writes, "abcd", strict=True)
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*rows)
    assert await database.read(names) == ["a", "B", "C", "d"]


async def test_a_cancelled_caller_does_not_stop_its_unit(database: Database) -> None:
    async with HeldWriter(database):
        appended = asyncio.ensure_future(database.append(insert, row("a")))
        await asyncio.sleep(0)
        appended.cancel()
    await database.transaction(lambda _: None)
    assert appended.cancelled()
    assert await database.read(names) == ["a"]


async def test_callbacks_run_after_the_commit_even_when_the_caller_was_cancelled(database: Database) -> None:
    seen: list[str] = []

    def work(transaction: Transaction) -> None:
        transaction.connection.execute(INSERT, row("a"))
        transaction.on_commit(lambda: seen.append("kept"))

    async with HeldWriter(database):
        unit = asyncio.ensure_future(database.transaction(work))
        await asyncio.sleep(0)
        unit.cancel()
        assert seen == []
    await database.transaction(lambda _: None)
    assert seen == ["kept"]


async def test_what_only_the_loop_may_change_is_changed_in_its_thread(database: Database) -> None:
    threads: list[int] = []

    def work(transaction: Transaction) -> None:
        transaction.on_commit(lambda: threads.append(threading.get_ident()))
        transaction.on_commit_in_loop(lambda: threads.append(threading.get_ident()))

    await database.transaction(work)
    assert [thread == threading.get_ident() for thread in threads] == [False, True]


async def test_callbacks_of_a_unit_that_failed_never_run(database: Database) -> None:
    seen: list[str] = []

    def work(transaction: Transaction) -> None:
        transaction.on_commit(lambda: seen.append("kept"))
        raise LookupError

    with pytest.raises(LookupError):
        await database.transaction(work)
    assert seen == []


async def test_b4_a_failed_commit_is_answered_to_everyone_and_ends_the_writer(database: Database) -> None:
    @event.listens_for(database._write_engine, "commit")
    def fail(_: Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    results = await asyncio.gather(
        *(database.append(insert, row(str(number))) for number in range(20)), return_exceptions=True
    )
    assert {type(result) for result in results} == {DatabaseFailed}
    failure = await asyncio.wait_for(database.wait_failed(), 60)
    assert "disk I/O error" in str(failure)
    with pytest.raises(DatabaseFailed):
        await database.append(insert, row("later"))
    with pytest.raises(DatabaseFailed):
        await database.transaction(lambda _: None)
    assert await database.read(names) == []


async def test_a_failure_is_told_although_another_who_waited_for_it_has_gone(database: Database) -> None:
    @event.listens_for(database._write_engine, "commit")
    def fail(_: Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    gone = asyncio.ensure_future(database.wait_failed())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    with pytest.raises(DatabaseFailed):
        await asyncio.wait_for(database.append(insert, row("a")), 60)
    assert "disk I/O error" in str(await asyncio.wait_for(database.wait_failed(), 60))


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY_DBMOVED,
        sqlite3.SQLITE_CANTOPEN,
    ],
)
async def test_b4_a_statement_that_meets_a_failing_disk_is_fatal_and_no_matter_of_its_unit(
    database: Database, code: int
) -> None:
    def meet_a_bad_sector(_: Transaction) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = code  # type: ignore[misc]
        raise OperationalError("INSERT ...", {}, error)

    with pytest.raises(DatabaseFailed):
        await database.transaction(meet_a_bad_sector)
    await asyncio.wait_for(database.wait_failed(), 60)


async def test_b4_what_met_a_failing_disk_is_not_tried_again(database: Database) -> None:
    attempts: list[str] = []

    def meet_a_bad_sector_once(connection: Connection, rows: Sequence[dict[str, str]]) -> None:
        attempts.append("attempt")
        if len(attempts) == 1:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE  # type: ignore[misc]
            raise OperationalError("INSERT ...", {}, error)
        insert(connection, rows)

    with pytest.raises(DatabaseFailed):
        await database.append(meet_a_bad_sector_once, row("a"))
    assert attempts == ["attempt"]


async def test_b8_two_hundred_writers_are_all_served_without_a_busy_database(database: Database) -> None:
    async def write_and_read(number: int) -> None:
        for turn in range(5):
            await database.append(insert, row(f"{number}-{turn}"))
            await database.read(names)

    async with asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(write_and_read(number))
    assert len(await database.read(names)) == 1000


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match="readonly"):
        await database.read(lambda connection: connection.execute(INSERT, row("a")))


async def test_closing_commits_what_was_submitted(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "parley.db")
    appended = asyncio.ensure_future(database.append(insert, row("a")))
    await asyncio.sleep(0)
    await database.aclose()
    await appended
    with pytest.raises(DatabaseFailed):
        await database.append(insert, row("b"))
    async with await Database.open(tmp_path / "parley.db") as again:
        assert await again.read(names) == ["a"]


async def test_closing_commits_what_waits_behind_a_writer_that_is_busy(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "parley.db")
    async with HeldWriter(database):
        appended = asyncio.ensure_future(database.append(insert, row("a")))
        closing = asyncio.ensure_future(database.aclose())
        await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(appended, closing), 60)
    async with await Database.open(tmp_path / "parley.db") as again:
        assert await again.read(names) == ["a"]
