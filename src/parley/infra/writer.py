"""The one thread that writes: it takes what waits, commits it together, and answers only after the commit."""

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from parley.core.errors import OperatorError, Overloaded
from parley.infra.units import BatchWrite, Item, Transaction, Unit, Work, commit_together

T = TypeVar("T")

MAX_UNITS_PER_COMMIT = 256
# From here on a database that has not answered is waited for by nobody new.
STALL_SECONDS = 5.0
# How often one that has nothing to write is asked whether it is there, and ours.
_CHECK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class DatabaseFailed(OperatorError):
    """The writer met a failure of the disk or the file. Nothing is kept any more; only a restart can tell what was."""


class Session(Protocol):
    """The writer's connection, and what can be done when a commit fails: of a full disk, of a server that went away."""

    def connect(self) -> Connection: ...

    def begun(self, connection: Connection) -> None:
        """A transaction has begun."""
        ...

    def committed(self) -> None:
        """The transaction that had begun was committed."""
        ...

    def check(self, connection: Connection) -> None:
        """Raises DBAPIError where the connection is gone, DatabaseRefused where the database is another process's."""
        ...

    def resume(self, connection: Connection, error: DBAPIError) -> tuple[Connection, bool] | None:
        """A connection to go on with, the one given or a new one, and whether the transaction that `error` ended was committed;
        None when it cannot be known."""
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
        # Each unit that is not answered, and when it was handed in, monotonic seconds; they are answered in their order.
        self._waiting: deque[tuple[float, Unit]] = deque()
        # When the database answered last, and whether its connection is lost.
        self._heard = time.monotonic()
        self._is_away = False
        # Told what each commit took.
        self.on_commit_timed: Callable[[float], None] = lambda _: None
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    async def submit(self, work: Callable[[Transaction], T]) -> T:
        """See `Database.transaction`."""
        result: T = await self._enqueue(Work(future=self._loop.create_future(), work=work, call_loop=self._call_loop))
        return result

    async def submit_item(self, write: BatchWrite[T], item: T, on_refused: Callable[[], None] | None) -> None:
        """See `Database.append`."""
        refused = None if on_refused is None else partial(self._call_loop, on_refused)
        await self._enqueue(Item(future=self._loop.create_future(), write=write, item=item, on_refused=refused))

    @property
    def num_waiting(self) -> int:
        """How many units are not answered yet."""
        return len(self._waiting)

    @property
    def lag_seconds(self) -> float:
        """How long the oldest of them has waited."""
        return time.monotonic() - self._waiting[0][0] if self._waiting else 0.0

    @property
    def is_stalled(self) -> bool:
        """Whether the database has not answered for long, or its connection is lost."""
        return self._is_away or self._is_silent or self.lag_seconds > STALL_SECONDS

    def check(self) -> None:
        """Raises Overloaded while it is stalled: nobody knows then when anything new would be durable, or whether at all."""
        if self.is_stalled:
            raise Overloaded(
                "The server cannot keep records at the moment and takes no new requests. Please retry your request later.",
                retry_after_seconds=STALL_SECONDS,
            )

    async def wait_failed(self) -> DatabaseFailed:
        """Return the failure, when there is one."""
        return await asyncio.shield(self._failed)

    def give_up_if_stalled(self) -> None:
        """On the loop, for a server that stops: fail what waits for a database that does not answer. Raises DatabaseFailed then."""
        if self.is_stalled:
            self._fail_waiting(_silent())
        if self._failure is not None:
            raise self._failure

    async def aclose(self) -> None:
        """Commit what waits and end the thread. Raises DatabaseFailed, and leaves the thread behind, where nothing answers."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        while self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _CHECK_SECONDS)
            if self._thread.is_alive() and self._is_silent:
                self._fail_waiting(_silent())
                raise _silent()

    @property
    def _is_silent(self) -> bool:
        return time.monotonic() - self._heard > STALL_SECONDS

    async def _enqueue(self, unit: Unit) -> Any:  # noqa: ANN401 - typed by the callers, who know the work
        # Never a wait before the unit is handed in: what its caller has changed in memory stands in the order of the units, on
        # which the reconciler relies. There are as many units as callers that wait, and so no more than requests that are open.
        if self._failure is not None or self._is_closed:
            raise self._failure or DatabaseFailed("the database is closed")
        self._waiting.append((time.monotonic(), unit))
        self._queue.put(unit)
        return await unit.future

    def _answer(self, units: Sequence[Unit]) -> None:
        """On the loop: tell each caller, whether or not it still waits."""
        if self._failure is not None:
            # They were told that nobody knows.
            return
        for unit in units:
            self._waiting.popleft()
            if unit.future.done():
                continue
            if unit.error is not None:
                unit.future.set_exception(unit.error)
            else:
                unit.future.set_result(unit.result)

    def _run(self) -> None:
        try:
            connection = self._session.connect()
            try:
                while (units := self._take()) is not None:
                    started = self._heard = time.monotonic()
                    connection = self._commit(connection, units) if units else self._check(connection)
                    self._heard = time.monotonic()
                    if units:
                        self._tell(units)
                        self.on_commit_timed(self._heard - started)
            finally:
                connection.close()
        except Exception as error:  # noqa: BLE001 - the outermost loop of the thread, which cannot go on
            # The end of the thread: every caller, waiting or yet to come, must hear that nothing is kept any more.
            if isinstance(error, OperatorError):
                _log.error("database writer failed", extra={"reason": str(error)})
            else:
                _log.exception("database writer failed")
            failure = DatabaseFailed(f"the database failed: {error}")
            # On the loop, where units are enqueued: none can slip in between the failure and the answers.
            self._call_loop(partial(self._fail_waiting, failure))

    def _check(self, connection: Connection) -> Connection:
        """Look whether the database is there, and ours; the connection to go on with."""
        try:
            self._session.check(connection)
        except DBAPIError as error:
            connection, _ = self._resume(connection, error)
        return connection

    def _commit(self, connection: Connection, units: Sequence[Unit]) -> Connection:
        """Commit the units, on a new connection where this one breaks; the connection to go on with."""
        while True:
            try:
                commit_together(connection, units, self._session.begun)
            except DBAPIError as error:
                connection, is_committed = self._resume(connection, error)
                if not is_committed:
                    continue
            self._session.committed()
            for unit in units:
                for callback in unit.callbacks:
                    callback()
            return connection

    def _resume(self, connection: Connection, error: DBAPIError) -> tuple[Connection, bool]:
        """See Session. Raises `error` where it cannot be known."""
        self._is_away = error.connection_invalidated
        resumed = self._session.resume(connection, error)
        if resumed is None:
            raise error
        self._is_away = False
        _log.warning("the database failed and is taken up again", extra={"is_committed": resumed[1]})
        return resumed

    def _take(self) -> list[Unit] | None:
        """Wait for a unit, then take what else waits; empty where none came for a second, None at the end."""
        try:
            first = self._queue.get(timeout=_CHECK_SECONDS)
        except queue.Empty:
            return []
        if first is None:
            return None
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

    def _fail_waiting(self, failure: DatabaseFailed) -> None:
        """On the loop: from now on nothing is kept."""
        if self._failure is not None:
            return
        self._failure = failure
        self._failed.set_result(failure)
        for _, unit in self._waiting:
            if not unit.future.done():
                unit.future.set_exception(failure)
        self._waiting.clear()

    def _call_loop(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            # The loop is closed: nobody is left to hear it, and what was committed stays committed.
            _log.warning("database writer outlived its loop")


def _silent() -> DatabaseFailed:
    return DatabaseFailed(
        "the database does not answer; what it was asked to keep last may be kept or not, and was not answered"
    )
