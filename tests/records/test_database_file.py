"""The database's file: born whole, refused when damaged and then left alone, and complete after a kill."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from parley.infra.db import Database, DatabaseRefused
from parley.infra.sqlite import create_database_file, quick_check, verify_file
from tests.small_disk import NotHere, fill, small_disk


async def execute(database: Database, statement: str) -> None:
    await database.transaction(lambda transaction: transaction.connection.execute(text(statement)) and None)


async def made(path: Path) -> Path:
    async with await Database.open(path) as database:
        await execute(database, "INSERT INTO organizations (id, name, created_at) VALUES ('org-1', '1', 1.0)")
    return path


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zero_first_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(4096))


def write_text(path: Path) -> None:
    path.write_text("this is no database, but it is long enough to hold a header of one hundred bytes" * 10)


def swap_for_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
        connection.commit()


@pytest.mark.parametrize("damage", [cut, empty, zero_first_page, write_text, swap_for_another_program])
async def test_b6_a_damaged_database_is_refused_in_one_line_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = await made(tmp_path / "parley.db")
    damage(path)
    before = path.read_bytes()
    with pytest.raises(DatabaseRefused) as refused:
        await Database.open(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == before


@pytest.fixture
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0))


@pytest.mark.usefixtures("_no_patience")
async def test_a_database_that_another_program_holds_is_not_called_damaged(tmp_path: Path) -> None:
    path = await made(tmp_path / "parley.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        for look in (verify_file, quick_check):
            with pytest.raises(
                DatabaseRefused, match=r"cannot be opened at the moment .*locked.*end the program"
            ) as held:
                look(path)
            assert "damaged" not in str(held.value)
    verify_file(path)


async def test_b3_a_database_on_a_full_disk_is_not_called_damaged(tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path / "disk", megabytes=8) as disk:
            path = await made(disk / "parley.db")
            fill(disk / "ballast")
            for look in (verify_file, quick_check):
                with pytest.raises(DatabaseRefused, match=r"cannot be opened at the moment .*make room"):
                    look(path)
            with pytest.raises(DatabaseRefused, match="make room"):
                await Database.open(disk / "another.db")
            assert list(disk.glob("*another*")) == []
            (disk / "ballast").unlink()
            assert quick_check(path) == "ok"
    except NotHere as lack:
        pytest.skip(str(lack))


async def test_b6_a_database_that_lost_its_tables_is_damaged(tmp_path: Path) -> None:
    path = await made(tmp_path / "parley.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE alembic_version")
    with pytest.raises(DatabaseRefused, match=r"is damaged .*restore it from a backup"):
        verify_file(path)


async def test_b6_a_missing_database_is_not_made_anew_where_there_was_one(tmp_path: Path) -> None:
    with pytest.raises(DatabaseRefused, match="missing"):
        await Database.open(tmp_path / "parley.db", may_create=False)
    assert list(tmp_path.iterdir()) == []


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = await made(tmp_path / "parley.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(DatabaseRefused, match="newer Parley"):
        await Database.open(path)


async def test_a_database_that_could_not_be_built_leaves_no_file(tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("killed in the middle")

    with pytest.raises(RuntimeError):
        create_database_file(tmp_path / "parley.db", fail)
    assert list(tmp_path.iterdir()) == []


async def test_the_file_is_its_owners_alone_and_sound(tmp_path: Path) -> None:
    path = await made(tmp_path / "parley.db")
    assert path.stat().st_mode & 0o777 == 0o600
    assert quick_check(path) == "ok"


async def test_the_check_of_every_page_finds_a_page_of_zeros(tmp_path: Path) -> None:
    path = await made(tmp_path / "parley.db")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(4096))
    assert quick_check(path) != "ok"


WRITER = """
import asyncio, sys
from pathlib import Path
from sqlalchemy import text
from parley.infra.db import Database

INSERT = text("INSERT INTO organizations (id, name, created_at) VALUES (:id, :id, 1.0)")

def insert(connection, rows):
    connection.execute(INSERT, rows)

async def write(database, client):
    for number in range(100_000):
        await database.append(insert, {"id": f"{client}-{number}"})
        print(f"{client}-{number}", flush=True)

async def main():
    async with await Database.open(Path(sys.argv[1])) as database, asyncio.TaskGroup() as group:
        for client in range(8):
            group.create_task(write(database, client))

asyncio.run(main())
"""


async def test_b1_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    for seconds in (0.05, 0.2):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
            acknowledged = {process.stdout.readline().strip()}
            time.sleep(seconds)
            process.kill()
            acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
        async with await Database.open(path) as database:
            kept = await database.read(
                lambda connection: {row.id for row in connection.execute(text("SELECT id FROM organizations"))}
            )
            await execute(database, "DELETE FROM organizations")
        assert acknowledged - kept == set()
        assert len(acknowledged) > 1
