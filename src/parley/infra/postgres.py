"""PostgreSQL as we run it: engines, the lock that lets one process write, and what to do when a commit is not answered."""

import time

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from parley.infra.sqlite import DatabaseRefused

# "Prly": the advisory lock of the process that writes.
_LOCK = 0x50726C79
_RECONNECT_SECONDS = 30.0
# A process that has just ended may be here still, until the server has seen it go.
_LOCK_SECONDS = 1.5
_PAUSE_SECONDS = 0.05


def open_engine(url: str, *, may_write: bool) -> Engine:
    """An engine on `postgresql://...`; one that may not write has transactions that cannot."""
    options = {} if may_write else {"postgresql_readonly": True}
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
        self._transaction_id: str | None = None

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
        """A transaction has begun: note its id, by which the server can say later what became of it."""
        # Not that of the one before, which was committed, where this one has none yet: the session may have ended in between.
        self._transaction_id = None
        self._transaction_id = connection.execute(text("SELECT pg_current_xact_id()::text")).scalar_one()

    def resume(self, error: DBAPIError) -> tuple[Connection, bool] | None:
        """After a failure: a new connection, and whether the transaction was committed all the same.

        None when the failure is not that of the connection. Raises DBAPIError or DatabaseRefused when there is none to be had.
        """
        if not error.connection_invalidated:
            return None
        transaction_id, self._transaction_id = self._transaction_id, None
        deadline = time.monotonic() + _RECONNECT_SECONDS
        while True:
            try:
                connection = self.connect()
                break
            except DatabaseRefused:
                # The server may not have noticed yet that the old connection, which holds the lock, is gone.
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)
        if transaction_id is None:
            return connection, False
        while (status := _status(connection, transaction_id)) == "in progress":
            # The lock is ours, so its session has ended; it is being rolled back.
            time.sleep(_PAUSE_SECONDS)
        return connection, status == "committed"


def _lock(connection: Connection) -> bool:
    with connection.begin():
        return bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}).scalar())


def _status(connection: Connection, transaction_id: str) -> str | None:
    with connection.begin():
        query = text("SELECT pg_xact_status(CAST(:id AS xid8))")
        status: str | None = connection.execute(query, {"id": transaction_id}).scalar()
        return status
