"""The one thread that writes: it takes what waits, commits it together, and answers only after the commit."""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from parley.core.errors import OperatorError

T = TypeVar("T")

# Writes items that wait together. It must do for each item exactly what it would do for that item alone.
BatchWrite = Callable[[Connection, Sequence[T]], None]

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
    call_loop: Callable[[Callable[[], None]], None]
    callbacks: list[Callable[[], None]] = field(default_factory=list)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the writer's thread once the unit is durable, before its caller hears of it.

        For state in memory that must follow the database even when the caller has been cancelled. It must not raise.
        """
        self.callbacks.append(callback)

    def on_commit_in_loop(self, callback: Callable[[], None]) -> None:
        """As `on_commit`, on the loop's thread: for state that only the loop may change."""
        self.callbacks.append(lambda: self.call_loop(callback))


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
    call_loop: Callable[[Callable[[], None]], None]


@dataclass(slots=True, eq=False, kw_only=True)
class _Item(_Unit):
    write: BatchWrite[Any]
    item: Any


class Session(Protocol):
    """The writer's connection, and what can be done when a commit fails: of a full disk, of a server that went away."""

    def connect(self) -> Connection: ...

    def begun(self, connection: Connection) -> None:
        """A transaction has begun."""
        ...

    def resume(self, error: DBAPIError) -> tuple[Connection, bool] | None:
        """A new connection, and whether the transaction that `error` ended was committed; None when it cannot be known."""
        ...


class Writer:
    """Group commit on one connection. Built on the loop that submits; its thread starts at once."""

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        self._session = session
        self._loop = loop
        self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._places = asyncio.Semaphore(MAX_WAITING_UNITS)
        self._failure: DatabaseFailed | None = None
        self._failed: asyncio.Future[DatabaseFailed] = loop.create_future()
        self._is_closed = False
        # When each unit that is not answered was handed in, monotonic seconds; they are answered in their order.
        self._handed_in: deque[float] = deque()
        # Told what each commit took.
        self.on_commit_timed: Callable[[float], None] = lambda _: None
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    async def submit(self, work: Callable[[Transaction], T]) -> T:
        """See `Database.transaction`."""
        result: T = await self._enqueue(_Work(future=self._loop.create_future(), work=work, call_loop=self._call_loop))
        return result

    async def submit_item(self, write: BatchWrite[T], item: T) -> None:
        """See `Database.append`."""
        await self._enqueue(_Item(future=self._loop.create_future(), write=write, item=item))

    @property
    def num_waiting(self) -> int:
        """How many units are not answered yet."""
        return len(self._handed_in)

    @property
    def lag_seconds(self) -> float:
        """How long the oldest of them has waited."""
        return time.monotonic() - self._handed_in[0] if self._handed_in else 0.0

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
        self._handed_in.append(time.monotonic())
        self._queue.put(unit)
        return await unit.future

    def _answer(self, units: Sequence[_Unit]) -> None:
        """On the loop: tell each caller, and give its place back, whether or not it still waits."""
        for unit in units:
            self._places.release()
            self._handed_in.popleft()
            if unit.future.done():
                continue
            if unit.error is not None:
                unit.future.set_exception(unit.error)
            else:
                unit.future.set_result(unit.result)

    def _run(self) -> None:
        units: list[_Unit] = []
        try:
            connection = self._session.connect()
            try:
                while units := self._take():
                    started = time.monotonic()
                    connection = self._commit(connection, units)
                    self._tell(units)
                    self.on_commit_timed(time.monotonic() - started)
            finally:
                connection.close()
        except Exception as error:  # noqa: BLE001 - the outermost loop of the thread, which cannot go on
            # The end of the thread: every caller, waiting or yet to come, must hear that nothing is kept any more.
            _log.exception("database writer failed")
            self._fail(units, error)

    def _commit(self, connection: Connection, units: Sequence[_Unit]) -> Connection:
        """Commit the units, on a new connection where this one breaks; the connection to go on with."""
        while True:
            try:
                _commit_together(connection, units, self._session.begun)
            except DBAPIError as error:
                resumed = self._session.resume(error)
                if resumed is None:
                    raise
                _log.warning("a commit failed and is taken up again", extra={"is_committed": resumed[1]})
                connection.close()
                connection, is_committed = resumed
                if not is_committed:
                    continue
            for unit in units:
                for callback in unit.callbacks:
                    callback()
            return connection

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


def _commit_together(connection: Connection, units: Sequence[_Unit], begun: Callable[[Connection], None]) -> None:
    """Run the units in order in one transaction. Raises only what is fatal; then no unit may be answered as kept."""
    runs = _runs(units)
    if len(runs) > 1 or not _commit_run(connection, runs[0], begun):
        for unit in units:
            unit.error, unit.callbacks = None, ()
        with connection.begin():
            begun(connection)
            for run in runs:
                _write_run(connection, run)


def _runs(units: Sequence[_Unit]) -> list[list[_Unit]]:
    """The units in their order, cut where one write follows another: a run of items of one write is one call of it."""
    runs: list[list[_Unit]] = []
    for unit in units:
        last = runs[-1][-1] if runs else None
        if isinstance(unit, _Item) and isinstance(last, _Item) and last.write is unit.write:
            runs[-1].append(unit)
        else:
            runs.append([unit])
    return runs


def _commit_run(connection: Connection, run: Sequence[_Unit], begun: Callable[[Connection], None]) -> bool:
    """Commit a run of items that is all there is, without a savepoint: the usual case under load.

    Returns False, with nothing kept, where it is no such run, or where an item was refused: then each needs its savepoint.
    """
    if not isinstance(run[0], _Item):
        return False
    transaction = connection.begin()
    is_kept = False
    try:
        begun(connection)
        _write_items(connection, run)
        is_kept = True
    except Exception as error:
        if _is_fatal(error):
            raise
    finally:
        if not is_kept:
            transaction.rollback()
    if is_kept:
        # Outside the catch: a commit that fails is never tried again, because nobody knows what of it was kept.
        transaction.commit()
    return is_kept


def _write_run(connection: Connection, run: Sequence[_Unit]) -> None:
    """A run inside a larger transaction: whole in one savepoint, or unit by unit when one of them was refused."""
    if len(run) > 1:
        try:
            with connection.begin_nested():
                _write_items(connection, run)
        except Exception as error:
            if _is_fatal(error):
                raise
        else:
            return
    for unit in run:
        _run_in_savepoint(connection, unit)


def _write_items(connection: Connection, run: Sequence[_Unit]) -> None:
    items = [unit for unit in run if isinstance(unit, _Item)]
    items[0].write(connection, [unit.item for unit in items])


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
        transaction = Transaction(connection, unit.call_loop)
        unit.result = unit.work(transaction)
        unit.callbacks = transaction.callbacks
    elif isinstance(unit, _Item):
        unit.write(connection, [unit.item])


def _is_fatal(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    return error.connection_invalidated or (code is not None and code & 0xFF in _FATAL_CODES)
