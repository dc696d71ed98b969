"""The one thread that writes: it takes what waits, commits it together, and answers only after the commit."""

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from parley.core.errors import OperatorError
from parley.infra.units import BatchWrite, Item, Transaction, Unit, Work, commit_together

T = TypeVar("T")

MAX_UNITS_PER_COMMIT = 256

_log = logging.getLogger(__name__)


class DatabaseFailed(OperatorError):
    """The writer met a failure of the disk or the file. Nothing is kept any more; only a restart can tell what was."""


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
        self._queue: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
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
        result: T = await self._enqueue(Work(future=self._loop.create_future(), work=work, call_loop=self._call_loop))
        return result

    async def submit_item(self, write: BatchWrite[T], item: T) -> None:
        """See `Database.append`."""
        await self._enqueue(Item(future=self._loop.create_future(), write=write, item=item))

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

    async def _enqueue(self, unit: Unit) -> Any:  # noqa: ANN401 - typed by the callers, who know the work
        # Never a wait before the unit is handed in: what its caller has changed in memory stands in the order of the units, on
        # which the reconciler relies. There are as many units as callers that wait, and so no more than requests that are open.
        if self._failure is not None or self._is_closed:
            raise self._failure or DatabaseFailed("the database is closed")
        self._handed_in.append(time.monotonic())
        self._queue.put(unit)
        return await unit.future

    def _answer(self, units: Sequence[Unit]) -> None:
        """On the loop: tell each caller, whether or not it still waits."""
        for unit in units:
            self._handed_in.popleft()
            if unit.future.done():
                continue
            if unit.error is not None:
                unit.future.set_exception(unit.error)
            else:
                unit.future.set_result(unit.result)

    def _run(self) -> None:
        units: list[Unit] = []
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

    def _commit(self, connection: Connection, units: Sequence[Unit]) -> Connection:
        """Commit the units, on a new connection where this one breaks; the connection to go on with."""
        while True:
            try:
                commit_together(connection, units, self._session.begun)
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

    def _take(self) -> list[Unit]:
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

    def _tell(self, units: Sequence[Unit]) -> None:
        self._call_loop(lambda: self._answer(units))

    def _fail(self, units: Sequence[Unit], error: Exception) -> None:
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
