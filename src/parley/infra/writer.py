"""The one thread that writes: it takes what waits, commits it together, and answers only after the commit."""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.exc import DBAPIError

from parley.core.errors import OperatorError

T = TypeVar("T")

MAX_UNITS_PER_COMMIT = 256
# Callers beyond this wait before their unit is taken; far more than requests that can be open at once.
MAX_WAITING_UNITS = 4096
# The disk or the file failed, not the unit: nothing that this connection says afterwards can be trusted.
_FATAL_CODES = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    }
)

_log = logging.getLogger(__name__)


class DatabaseFailed(OperatorError):
    """The writer met a failure of the disk or the file. Nothing is kept any more; only a restart can tell what was."""


@dataclass(slots=True)
class Transaction:
    """One unit of work while it runs. Services execute on `connection`; nobody commits but the writer."""

    connection: Connection
    callbacks: list[Callable[[], None]] = field(default_factory=list)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the writer's thread once the unit is durable, before its caller hears of it.

        For state in memory that must follow the database even when the caller has been cancelled. It must not raise.
        """
        self.callbacks.append(callback)


@dataclass(slots=True, eq=False, kw_only=True)
class _Unit:
    """What a caller waits for, and how it went."""

    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    callbacks: Sequence[Callable[[], None]] = ()


@dataclass(slots=True, eq=False, kw_only=True)
class _Work(_Unit):
    work: Callable[[Transaction], Any]


@dataclass(slots=True, eq=False, kw_only=True)
class _Row(_Unit):
    statement: Executable
    row: Mapping[str, Any]


class Writer:
    """Group commit on one connection. Built on the loop that submits; its thread starts at once."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._loop = loop
        self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._places = asyncio.Semaphore(MAX_WAITING_UNITS)
        self._failure: DatabaseFailed | None = None
        self._failed: asyncio.Future[DatabaseFailed] = loop.create_future()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    async def submit(self, work: Callable[[Transaction], T]) -> T:
        """See `Database.transaction`."""
        result: T = await self._enqueue(_Work(future=self._loop.create_future(), work=work))
        return result

    async def submit_row(self, statement: Executable, row: Mapping[str, Any]) -> None:
        """See `Database.append`."""
        await self._enqueue(_Row(future=self._loop.create_future(), statement=statement, row=row))

    async def wait_failed(self) -> DatabaseFailed:
        """Return the failure, when there is one."""
        return await asyncio.shield(self._failed)

    async def aclose(self) -> None:
        """Commit what waits and end the thread."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _enqueue(self, unit: _Unit) -> Any:  # noqa: ANN401 - typed by the callers, who know the work
        await self._places.acquire()
        if self._failure is not None or self._is_closed:
            self._places.release()
            raise self._failure or DatabaseFailed("the database is closed")
        self._queue.put(unit)
        return await unit.future

    def _answer(self, units: Sequence[_Unit]) -> None:
        """On the loop: tell each caller, and give its place back, whether or not it still waits."""
        for unit in units:
            self._places.release()
            if unit.future.done():
                continue
            if unit.error is not None:
                unit.future.set_exception(unit.error)
            else:
                unit.future.set_result(unit.result)

    def _run(self) -> None:
        units: list[_Unit] = []
        try:
            with self._engine.connect() as connection:
                while units := self._take():
                    _commit_together(connection, units)
                    self._tell(units)
        except Exception as error:  # noqa: BLE001 - the outermost loop of the thread, which cannot go on
            # The end of the thread: every caller, waiting or yet to come, must hear that nothing is kept any more.
            _log.exception("database writer failed")
            self._fail(units, error)

    def _take(self) -> list[_Unit]:
        """Wait for a unit, then take what else waits; empty at the end."""
        first = self._queue.get()
        if first is None:
            return []
        units = [first]
        while len(units) < MAX_UNITS_PER_COMMIT:
            try:
                unit = self._queue.get_nowait()
            except queue.Empty:
                break
            if unit is None:
                self._queue.put(None)
                break
            units.append(unit)
        return units

    def _tell(self, units: Sequence[_Unit]) -> None:
        self._call_loop(lambda: self._answer(units))

    def _fail(self, units: Sequence[_Unit], error: Exception) -> None:
        failure = DatabaseFailed(f"the database failed: {error}")

        def fail_all() -> None:
            self._failure = failure
            self._failed.set_result(failure)
            waiting = list(units)
            while not self._queue.empty():
                unit = self._queue.get_nowait()
                if unit is not None:
                    waiting.append(unit)
            for unit in waiting:
                unit.error, unit.result = failure, None
            self._answer(waiting)

        # On the loop, where units are enqueued: none can slip in between the failure and the emptying of the queue.
        self._call_loop(fail_all)

    def _call_loop(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            # The loop is closed: nobody is left to hear it, and what was committed stays committed.
            _log.warning("database writer outlived its loop")


def _commit_together(connection: Connection, units: Sequence[_Unit]) -> None:
    """Run the units in order in one transaction. Raises only what is fatal; then no unit may be answered as kept."""
    if not _commit_rows(connection, units):
        with connection.begin():
            for unit in units:
                _run_in_savepoint(connection, unit)
    for unit in units:
        for callback in unit.callbacks:
            callback()


def _commit_rows(connection: Connection, units: Sequence[_Unit]) -> bool:
    """Commit units that are all rows of one statement as one execution, the usual case under load.

    Returns False, with nothing kept, where they are not, or where a row was refused: then each needs its savepoint.
    """
    rows = [unit for unit in units if isinstance(unit, _Row)]
    if len(rows) != len(units) or any(row.statement is not rows[0].statement for row in rows):
        return False
    transaction = connection.begin()
    try:
        connection.execute(rows[0].statement, [row.row for row in rows])
    except Exception as error:
        transaction.rollback()
        if _is_fatal(error):
            raise
        return False
    # Outside the catch: a commit that fails is never tried again, because nobody knows what of it was kept.
    transaction.commit()
    return True


def _run_in_savepoint(connection: Connection, unit: _Unit) -> None:
    try:
        with connection.begin_nested():
            _execute(connection, unit)
    except Exception as error:
        if _is_fatal(error):
            raise
        # It belongs to the caller, who gets it as its own.
        unit.error = error


def _execute(connection: Connection, unit: _Unit) -> None:
    if isinstance(unit, _Work):
        transaction = Transaction(connection)
        unit.result = unit.work(transaction)
        unit.callbacks = transaction.callbacks
    elif isinstance(unit, _Row):
        connection.execute(unit.statement, unit.row)


def _is_fatal(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    return error.connection_invalidated or (code is not None and code & 0xFF in _FATAL_CODES)
