"""PostgreSQL as we run it: engines, the lock that lets one process write, and what to do when a commit is not answered."""

import secrets
import time

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from parley.infra.sqlite import DatabaseRefused

# "Prly": the advisory lock of the process that writes.
_LOCK = 0x50726C79
# How long a server that restarts is waited for.
RECONNECT_SECONDS = 30.0
# A process that has just ended may be here still, until the server has seen it go.
_LOCK_SECONDS = 1.5
_PAUSE_SECONDS = 0.05


# Classes of errors that are the server's own state, not the data's: no connection, no room, it stops or was told to, its disk.
_CLASSES_OF_SERVER = frozenset({"08", "53", "55", "57", "58"})


def is_of_server(error: DBAPIError) -> bool:
    """Whether a statement failed for what PostgreSQL was about then, and may do the next time."""
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or (state is not None and state[:2] in _CLASSES_OF_SERVER)


def open_engine(url: str, *, may_write: bool) -> Engine:
    """An engine on `postgresql://...`; one that may not write has transactions that cannot, each on the state of one moment."""
    options = {} if may_write else {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
    return create_engine(
        "postgresql+psycopg" + url.removeprefix("postgresql"),
        pool_size=2,
        # A statement that fails is logged, and its values may be digests and addresses.
        hide_parameters=True,
        # A reader that meets a server that was restarted connects again.
        pool_pre_ping=not may_write,
        execution_options=options,
        connect_args={"connect_timeout": 10, "application_name": "parley"},
    )


def connect_or_refuse(engine: Engine) -> Connection:
    """A connection, or DatabaseRefused with the server's own words."""
    try:
        return engine.connect()
    except DBAPIError as error:
        first_line = str(error.orig).strip().splitlines()[0]
        raise DatabaseRefused(f"PARLEY_DATABASE_URL: the database cannot be reached: {first_line}") from None


class PostgresSession:
    """The writer's connection. It holds the lock of the process that writes, and gets it back after a broken connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Of the transaction that runs, or was committed last.
        self._mark: str | None = None

    def connect(self) -> Connection:
        """A connection that holds the lock. Raises DatabaseRefused when another process holds it."""
        connection = connect_or_refuse(self._engine)
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _lock(connection):
            if time.monotonic() < deadline:
                time.sleep(_PAUSE_SECONDS)
                continue
            connection.close()
            raise DatabaseRefused(
                "the database is in use by another Parley process; stop it first, or name another one with "
                "PARLEY_DATABASE_URL"
            )
        return connection

    def begun(self, connection: Connection) -> None:
        """A transaction has begun: leave a mark in it, by which can be seen later whether it was committed.

        The server's own word is by the transaction's id, and after a crash it gives an id again that was not on the disk yet.
        """
        # Not that of the one before, which was committed, where this one has none yet: the session may have ended in between.
        self._mark = None
        mark = secrets.token_hex(16)
        if connection.execute(text("UPDATE commit_marks SET mark = :mark"), {"mark": mark}).rowcount != 1:
            # Each commit whose answer is lost would be done again.
            raise DatabaseRefused("the table commit_marks must have one row")
        self._mark = mark

    def resume(self, error: DBAPIError) -> tuple[Connection, bool] | None:
        """After a failure: a new connection, and whether the transaction was committed all the same.

        None when the failure is not that of the connection. Raises DBAPIError or DatabaseRefused when there is none to be had.
        """
        if not error.connection_invalidated:
            return None
        mark, self._mark = self._mark, None
        deadline = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                # The lock is ours then, so that its session, and the transaction, have ended.
                connection = self.connect()
                return connection, mark is not None and _last_mark(connection) == mark
            except (DatabaseRefused, DBAPIError):
                # The server may be starting, or not have noticed yet that the old connection, which holds the lock, is gone.
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)


def _lock(connection: Connection) -> bool:
    with connection.begin():
        return bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}).scalar())


def _last_mark(connection: Connection) -> str | None:
    """That of the last transaction that was committed."""
    with connection.begin():
        mark: str | None = connection.execute(text("SELECT mark FROM commit_marks")).scalar()
        return mark
