"""B3, B7: room on the disk. What is refused while there is none, and what the reserve is for."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from parley.core.errors import Overloaded
from parley.infra.db import Database
from parley.infra.storage import LogLengths, Reserve, StorageWatch
from tests.small_disk import NotHere, fill, small_disk

SMALL_LOG = LogLengths(fold_bytes=100_000, most_bytes=200_000)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own."""
    try:
        with small_disk(tmp_path / "disk", megabytes=8) as folder:
            yield folder
    except NotHere as lack:
        pytest.skip(str(lack))


def add_row(size: int):
    def work(transaction) -> None:
        transaction.connection.exec_driver_sql("INSERT INTO rows (text) VALUES (?)", ("x" * size,))

    return work


async def open_rows(path: Path, reserve: Reserve | None = None) -> Database:
    database = await Database.open(path, reserve=reserve)
    await database.transaction(lambda unit: unit.connection.exec_driver_sql("CREATE TABLE rows (text)") and None)
    return database


async def test_b3_what_finds_the_disk_full_is_written_from_the_reserve(disk: Path) -> None:
    reserve = Reserve(disk / "reserve")
    assert reserve.take()
    async with await open_rows(disk / "parley.db", reserve) as database:
        fill(disk / "ballast")
        for _ in range(20):
            await database.transaction(add_row(4000))
        assert not (disk / "reserve").exists()
        assert await database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM rows").scalar()) == 20
        assert await database.read(lambda c: c.exec_driver_sql("PRAGMA integrity_check").scalar()) == "ok"


async def test_b3_nothing_new_is_taken_while_the_disk_is_full_and_everything_once_there_is_room(
    disk: Path,
) -> None:
    watch = StorageWatch(disk / "parley.db")
    async with await open_rows(disk / "parley.db", watch.reserve):
        watch.look()
        watch.check()
        fill(disk / "ballast")
        watch.look()
        with pytest.raises(Overloaded) as refused:
            watch.check()
        assert refused.value.retry_after_seconds
        # Room, but none for the reserve that was given up.
        watch.reserve.give_up()
        watch.look()
        with pytest.raises(Overloaded):
            watch.check()
        (disk / "ballast").unlink()
        watch.look()
        watch.check()
        assert (disk / "reserve").exists()


async def test_b7_a_log_that_a_reader_keeps_is_folded_when_it_goes_and_nothing_new_is_taken_before(
    tmp_path: Path,
) -> None:
    path, log = tmp_path / "parley.db", tmp_path / "parley.db-wal"
    async with await open_rows(path) as database:
        watch = StorageWatch(path, SMALL_LOG)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM rows").fetchone()
            while log.stat().st_size < SMALL_LOG.most_bytes:
                await database.transaction(add_row(4000))
            watch.look()
            with pytest.raises(Overloaded):
                watch.check()
            # What runs is settled all the same.
            await database.transaction(add_row(4000))
        watch.look()
        watch.check()
        assert log.stat().st_size == 0
        await database.transaction(add_row(4000))


def test_b3_the_reserve_is_on_the_disk_while_it_is_kept_and_not_afterwards(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve")
    assert reserve.take()
    taken = (tmp_path / "reserve").stat()
    # Blocks, not a hole.
    assert taken.st_blocks * 512 >= taken.st_size > 1 << 20
    reserve.release()
    assert list(tmp_path.iterdir()) == []
    assert not reserve.give_up()
