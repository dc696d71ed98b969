"""PostgreSQL as we run it: the lock that lets one process write, and what to do when a commit is not answered."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from parley.infra.postgres_engine import first_line, refuse_read_only, refuse_unfit
from parley.infra.sqlite import DatabaseRefused

# "Prly": the advisory lock of the process that writes.
_LOCK = 0x50726C79
# How long a server that restarts, or that cancels what it is asked to do, is waited for.
RECONNECT_SECONDS = 30.0
# A process that has just ended may be here still, until the server has seen it go.
_LOCK_SECONDS = 1.5
_PAUSE_SECONDS = 0.05

# Classes of errors that are the server's own state, not the data's: no connection, no room, it stops or was told to, its disk.
_CLASSES_OF_SERVER = frozenset({"08", "53", "55", "57", "58"})
# A statement that was cancelled, a lock that was not had in time, a deadlock, a transaction that another one was in the way of:
# all of it is undone, and may be done again.
_PASSING = frozenset({"57014", "55P03", "40P01", "40001"})
# The operator's to mend: a right that is missing, a database that is read only.
_UNFIT = frozenset({"42501", "25006"})

_HOLDER = text(
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = :key AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class DatabaseTaken(DatabaseRefused):
    """Another process has the database. Nothing that this one has in memory can be relied on any more."""


def is_of_server(error: DBAPIError) -> bool:
    """Whether a statement failed for what PostgreSQL was about then, and may do the next time."""
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or (state is not None and state[:2] in _CLASSES_OF_SERVER)


def connect_or_refuse(engine: Engine) -> Connection:
    """A connection, or DatabaseRefused with the server's own words, or with what is wrong with the database."""
    try:
        connection = engine.connect()
        refuse_unfit(connection)
    except DBAPIError as error:
        raise DatabaseRefused(f"PARLEY_DATABASE_URL: the database cannot be reached: {first_line(error)}") from None
    return connection


@contextmanager
def refusing_server() -> Iterator[None]:
    """Turn what the server's state, a missing right or a database that is read only does into DatabaseRefused."""
    try:
        yield
    except DBAPIError as error:
        if not is_of_server(error) and getattr(error.orig, "sqlstate", None) not in _UNFIT:
            raise
        raise DatabaseRefused(f"PARLEY_DATABASE_URL: the database refuses: {first_line(error)}") from None


class PostgresSession:
    """The writer's connection. It holds the lock of the process that writes, and gets it back after a broken connection.

    Each transaction changes the mark that the one before left, and none other: whoever committed in between, and a server that
    lost what it had said was kept, end this process before its memory does harm.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # The session that got the lock last, by the server's number.
        self._backend: int | None = None
        # Of the transaction that was committed last, and of the one that runs.
        self._committed: str | None = None
        self._mark: str | None = None
        # When what is tried again failed first, monotonic seconds.
        self._failing_since: float | None = None

    def connect(self) -> Connection:
        """A connection that holds the lock, and the mark from which it goes on. Raises DatabaseRefused."""
        connection = self.lock()
        self._committed = _last_mark(connection)
        return connection

    def lock(self) -> Connection:
        """A connection that holds the lock. Raises DatabaseTaken when another process holds it, or DatabaseRefused."""
        connection = connect_or_refuse(self._engine)
        try:
            refuse_read_only(connection)
            self._wait_for_lock(connection)
        except BaseException:
            _end(connection)
            raise
        return connection

    def begun(self, connection: Connection) -> None:
        """A transaction has begun: leave a mark in it, by which can be seen later whether it was committed.

        The server's own word is by the transaction's id, and after a crash it gives an id again that was not on the disk yet.
        Raises DatabaseTaken.
        """
        # Not that of the one before, which is over, where this one has none yet: the session may have ended in between.
        self._mark = None
        mark = secrets.token_hex(16)
        change = text("UPDATE commit_marks SET mark = :mark WHERE mark = :committed")
        if connection.execute(change, {"mark": mark, "committed": self._committed}).rowcount != 1:
            raise _taken()
        self._mark = mark

    def committed(self) -> None:
        """The transaction that had begun was committed."""
        self._committed, self._mark, self._failing_since = self._mark, None, None

    def check(self, connection: Connection) -> None:
        """Between two transactions: does the session live, which holds the lock, and is the last commit ours?"""
        self._mark = None
        self._was_committed(connection)
        self._failing_since = None

    def resume(self, connection: Connection, error: DBAPIError) -> tuple[Connection, bool] | None:
        """After a failure: a connection to go on with, and whether the transaction was committed all the same.

        None when it is no failure of the connection, and none that passes. Raises DBAPIError or DatabaseRefused when there is no
        connection to be had, and DatabaseTaken as soon as that is known.
        """
        is_passing = getattr(error.orig, "sqlstate", None) in _PASSING
        if not (error.connection_invalidated or is_passing):
            return None
        now = time.monotonic()
        self._failing_since = now if self._failing_since is None else self._failing_since
        deadline = self._failing_since + RECONNECT_SECONDS
        if is_passing and now >= deadline:
            return None
        is_broken = error.connection_invalidated
        while True:
            try:
                if is_broken:
                    _end(connection)
                    # The lock is ours then, so that the old session, and its transaction, have ended.
                    connection, is_broken = self.lock(), False
                elif is_passing:
                    time.sleep(_PAUSE_SECONDS)
                return connection, self._was_committed(connection)
            except DatabaseTaken:
                raise
            except (DatabaseRefused, DBAPIError):
                # The server may be starting, or not have noticed yet that the old connection, which holds the lock, is gone.
                if time.monotonic() >= deadline:
                    raise
                is_broken = True
                time.sleep(_PAUSE_SECONDS)

    def _wait_for_lock(self, connection: Connection) -> None:
        deadline = time.monotonic() + _LOCK_SECONDS
        backend = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr] # psycopg's
        while True:
            holder = _lock(connection)
            if holder is None:
                self._backend = backend
                return
            if time.monotonic() >= deadline:
                break
            time.sleep(_PAUSE_SECONDS)
        if holder == self._backend:
            raise DatabaseRefused("the database's server has not noticed yet that this process lost its connection")
        raise DatabaseTaken(
            "the database is in use by another Parley process; stop it first, or name another one with PARLEY_DATABASE_URL"
        )

    def _was_committed(self, connection: Connection) -> bool:
        """Whether the transaction that had begun was. Raises DatabaseTaken where neither it nor the one before was the last."""
        found = _last_mark(connection)
        if found is None or found not in {self._committed, self._mark}:
            raise _taken()
        return found == self._mark


def _end(connection: Connection) -> None:
    """Close it, and do not give it back: a session that is kept keeps its lock."""
    if not connection.closed:
        connection.invalidate()
        connection.close()


def _lock(connection: Connection) -> int | None:
    """Take the lock; the session that holds it where that is another one."""
    with connection.begin():
        if connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}).scalar():
            return None
        # Nobody: it was given back in between.
        return connection.execute(_HOLDER, {"key": _LOCK}).scalar() or 0


def _last_mark(connection: Connection) -> str | None:
    """That of the last transaction that was committed."""
    with connection.begin():
        mark: str | None = connection.execute(text("SELECT mark FROM commit_marks")).scalar()
        return mark


def _taken() -> DatabaseTaken:
    return DatabaseTaken(
        "the last commit in the database (commit_marks) is not this process's: another Parley wrote to it, or its server lost "
        "what it had said was kept; start again, to go on with what the database says"
    )
