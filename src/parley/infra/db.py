"""The database: units of work that are durable when they return, and reads that never wait for them."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine

from parley.infra.patience import READ_SECONDS, Reading, reading_postgres, reading_sqlite
from parley.infra.postgres import PostgresSession, connect_or_refuse, refusing_server
from parley.infra.postgres_engine import open_engine
from parley.infra.readers import Readers
from parley.infra.schema import current_revision, require_newest, upgrade
from parley.infra.sqlite import (
    DatabaseRefused,
    SqliteSession,
    create_database_file,
    open_reader,
    open_writer,
    refusing_in_one_line,
    verify_file,
)
from parley.infra.storage import Reserve
from parley.infra.units import BatchWrite, Transaction
from parley.infra.writer import DatabaseFailed, Writer

__all__ = ["BatchWrite", "Connection", "Database", "DatabaseFailed", "DatabaseRefused", "Transaction"]

T = TypeVar("T")


class Database:
    """One database, written by this process alone: the caller holds the lock on its folder.

    Bound to the running event loop. `async with` closes it: what was submitted is committed first.
    """

    def __init__(self, place: Path | str, *, reserve: Reserve | None = None) -> None:
        session: SqliteSession | PostgresSession
        if isinstance(place, str):
            self._write_engine = open_engine(place, may_write=True)
            self._read_engine = open_engine(place, may_write=False)
            session = PostgresSession(self._write_engine)
            self._reading: Reading = reading_postgres
        else:
            self._write_engine = open_writer(place)
            self._read_engine = open_reader(place)
            session = SqliteSession(self._write_engine, reserve)
            self._reading = reading_sqlite
        self._readers = Readers(num_threads=2)
        self._writer = Writer(session, asyncio.get_running_loop())

    @classmethod
    async def open(cls, place: Path | str, *, may_create: bool = True, reserve: Reserve | None = None) -> Self:
        """Open the database at `place` (a file, or a `postgresql://` URL) at the newest schema; made when it is missing
        and `may_create`. A file's `reserve` is given up when its disk is full.

        Raises DatabaseRefused when it is not a sound Parley database; it is then left as it was.
        """
        if isinstance(place, str):
            await asyncio.to_thread(_prepare_server, place, may_create=may_create)
        else:
            await asyncio.to_thread(_prepare_file, place, may_create=may_create)
        database = cls(place, reserve=reserve)
        try:
            if isinstance(place, str):
                # The lock is held from here on, so that nobody changes what is read from now on.
                await database.transaction(lambda _: None)
        except BaseException:
            await database.aclose()
            raise
        return database

    async def transaction(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on the writer's thread as one unit: all of it is durable when this returns, or nothing is kept.

        `work` must be short and must not block: other units wait for it. What it raises is raised here and undoes this
        unit alone. A caller that is cancelled once its unit waits does not stop it. Raises DatabaseFailed when the writer is down.
        """
        return await self._writer.submit(work)

    async def append(self, write: BatchWrite[T], item: T, *, on_refused: Callable[[], None] | None = None) -> None:
        """Have `write` keep `item` as a unit of work; items for one `write` (the same object) that wait together go together.

        The same promises as `transaction`, at a fraction of its price. Where one of several is refused, each is written
        again by itself, so `write` must leave nothing behind but rows. For what was changed in memory before, `on_refused` is
        called in the loop where this item was refused, in the order of the commits, whether or not its caller still waits.
        """
        await self._writer.submit_item(write, item, on_refused)

    async def read(self, work: Callable[[Connection], T], *, within_seconds: float | None = READ_SECONDS) -> T:
        """Run `work` on a read-only connection, off the loop, all of it on the state of one commit, the last.

        None is for what must be read whatever it takes. Raises Overloaded where it takes longer, and where the server of the
        database is away for longer (for None, half a minute) or goes away meanwhile.
        """
        return await self._readers.run(partial(self._read, work, within_seconds), within_seconds=within_seconds)

    @property
    def num_waiting(self) -> int:
        """How many units of work were handed in and are not durable yet."""
        return self._writer.num_waiting

    @property
    def lag_seconds(self) -> float:
        """How long the oldest of them has waited."""
        return self._writer.lag_seconds

    @property
    def is_stalled(self) -> bool:
        """Whether nobody knows when what is handed in now would be durable: it does not answer, or its connection is lost."""
        return self._writer.is_stalled

    def check(self) -> None:
        """Raises Overloaded while it is stalled."""
        self._writer.check()

    def give_up_if_stalled(self) -> None:
        """For a server that stops: wait no longer for a database that does not answer. Raises DatabaseFailed then."""
        self._writer.give_up_if_stalled()

    def watch_commits(self, timed: Callable[[float], None]) -> None:
        """Have `timed` told, on the writer's thread, how many seconds each commit took. It must not raise."""
        self._writer.on_commit_timed = timed

    async def wait_failed(self) -> DatabaseFailed:
        """Return when the writer has failed: from then on nothing can be kept, and the server must stop and restart."""
        return await self._writer.wait_failed()

    async def raise_failure(self) -> None:
        """Wait for the writer's failure and raise it."""
        raise await self._writer.wait_failed()

    async def aclose(self) -> None:
        """Commit what was submitted, then close. Safe to call again. Raises DatabaseFailed where the database does not answer."""
        try:
            await self._writer.aclose()
        finally:
            await asyncio.to_thread(self._close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _read(self, work: Callable[[Connection], T], within_seconds: float | None) -> T:
        with self._reading(self._read_engine, within_seconds) as connection:
            return work(connection)

    def _close(self) -> None:
        self._readers.close()
        self._read_engine.dispose()
        # The last connection to close folds the write-ahead log into the file; that must be the one that may write.
        self._write_engine.dispose()


@contextmanager
def reading(place: Path | str) -> Iterator[Connection]:
    """A connection that cannot write, on the state of one moment, beside whoever writes. Blocks.

    Raises DatabaseRefused, also for a database of a newer Parley, DatabaseOutdated for one of an older, and DatabaseEmpty.
    """
    connect: Callable[[Engine], Connection]
    refusing: AbstractContextManager[None]
    if isinstance(place, str):
        engine, connect, refusing = open_engine(place, may_write=False), connect_or_refuse, refusing_server()
    else:
        verify_file(place)
        engine, connect, refusing = open_reader(place), Engine.connect, refusing_in_one_line(place)
    try:
        with refusing, connect(engine) as connection:
            require_newest(connection)
            with connection.begin():
                yield connection
    finally:
        engine.dispose()


def _prepare_file(path: Path, *, may_create: bool) -> None:
    if not path.exists():
        if not may_create:
            raise DatabaseRefused(
                f"the database {path} is missing, though this folder was in use; restore it from a backup"
            )
        with refusing_in_one_line(path):
            create_database_file(path, upgrade)
        return
    verify_file(path)
    engine = open_writer(path)
    try:
        with refusing_in_one_line(path), engine.connect() as connection:
            upgrade(connection)
    finally:
        engine.dispose()


def _prepare_server(url: str, *, may_create: bool) -> None:
    engine = open_engine(url, may_write=True)
    try:
        # Under the lock: two servers that start together must not both make the tables.
        with refusing_server(), PostgresSession(engine).lock() as connection:
            if not may_create and current_revision(connection) is None:
                raise DatabaseRefused(
                    "the database has no tables, though this folder was in use; restore it from a backup"
                )
            upgrade(connection)
    finally:
        engine.dispose()
