"""SQLite as we run it: how connections are set up, how a database file is born, and which file is refused."""

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import cast
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from parley.core.errors import OperatorError
from parley.infra.folder import sync_folder
from parley.infra.storage import Reserve

# "Prly", in the header field that SQLite keeps for the program a file belongs to.
_APPLICATION_ID = 0x50726C79
_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
# A write, or the growth of the index that all connections share, found no room.
_NO_ROOM_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
# Primary codes. A table that is missing has none of its own.
_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
# The disk's doing or another program's; the file may be as sound as ever.
_PASSING_CODES = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    }
)


class DatabaseRefused(OperatorError):
    """The database cannot be used as it is. The message is one line for the operator; the file was not changed."""


def open_writer(path: Path) -> Engine:
    """An engine whose transactions take the write lock when they begin and are on the disk when they commit."""
    return _engine(path, begin="BEGIN IMMEDIATE", pragmas=("synchronous=FULL", "foreign_keys=ON"))


class SqliteSession:
    """The writer's connection to a file.

    One that fails cannot be taken up again, because nobody knows what the disk kept; but for a disk that was full: then
    nothing was kept, and with the reserve given up there is room.
    """

    def __init__(self, engine: Engine, reserve: Reserve | None) -> None:
        self._engine = engine
        self._reserve = reserve

    def connect(self) -> Connection:
        return self._engine.connect()

    def begun(self, connection: Connection) -> None:
        """Nothing to note."""

    def committed(self) -> None:
        """Nothing to note."""

    def check(self, connection: Connection) -> None:
        """A file does not go away, and its folder is locked."""

    def resume(self, connection: Connection, error: DBAPIError) -> tuple[Connection, bool] | None:
        """A new connection where the disk was full and is not any more; what was to be committed was not."""
        is_full = getattr(error.orig, "sqlite_errorcode", None) in _NO_ROOM_CODES
        if is_full and self._reserve is not None and self._reserve.give_up():
            resumed = self._engine.connect()
            connection.close()
            return resumed, False
        return None


def open_reader(path: Path) -> Engine:
    """An engine that cannot write."""
    return _engine(path, begin="BEGIN", pragmas=("query_only=ON",))


def create_database_file(path: Path, build: Callable[[Connection], None]) -> None:
    """Make a database whole or not at all: it is built beside its place and renamed into it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(descriptor)
    try:
        with closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute("PRAGMA journal_mode=WAL")
        engine = open_writer(temporary)
        try:
            with engine.connect() as built:
                build(built)
        finally:
            engine.dispose()
        temporary.replace(path)
    except BaseException:
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                temporary.with_name(temporary.name + suffix).unlink()
        raise
    sync_folder(path.parent)


def verify_file(path: Path) -> None:
    """Refuse a file that is no Parley database, or is one that was cut short.

    The header is read before SQLite opens the file, because SQLite would make an empty database of an empty file.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise DatabaseRefused(f"the database {path} cannot be read: {error.strerror}") from None
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise DatabaseRefused(f"the database {path} is damaged (its header is not SQLite's); restore it from a backup")
    if int.from_bytes(header[68:72]) != _APPLICATION_ID:
        raise DatabaseRefused(f"{path} is a SQLite database of another program; point PARLEY_DATABASE_URL elsewhere")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        if _primary_code(error) in _DAMAGE_CODES:
            raise DatabaseRefused(f"the database {path} is damaged ({error}); restore it from a backup") from None
        raise _unavailable(path, error) from None


@contextmanager
def refusing_in_one_line(path: Path) -> Iterator[None]:
    """Turn what a full disk, or another program, does to a file that was verified into DatabaseRefused."""
    try:
        yield
    except (sqlite3.Error, DBAPIError) as error:
        found = error.orig if isinstance(error, DBAPIError) else error
        if _primary_code(found) not in _PASSING_CODES:
            raise
        raise _unavailable(path, found) from None


def quick_check(path: Path) -> str:
    """SQLite's own verdict on every page, `ok` or the first fault. Reads the whole file; finds no flipped values.

    Raises DatabaseRefused where the file cannot be read at the moment, which says nothing about it.
    """
    try:
        with (
            refusing_in_one_line(path),
            closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection,
        ):
            return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)


def _primary_code(error: BaseException | None) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _unavailable(path: Path, error: BaseException | None) -> DatabaseRefused:
    return DatabaseRefused(
        f"the database {path} cannot be opened at the moment ({error}): make room on its disk, or end the program that holds it"
    )


def _engine(path: Path, *, begin: str, pragmas: tuple[str, ...]) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=2,
        # A statement that fails is logged, and its values may be digests and addresses.
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": 5.0},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions by itself: it would not before SAVEPOINT, and never IMMEDIATE.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        # On the driver's connection: a tenth of the time of SQLAlchemy's own path, once per commit.
        cast("sqlite3.Connection", connection.connection.driver_connection).execute(begin)

    return engine
