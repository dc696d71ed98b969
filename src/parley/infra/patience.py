"""How long a reader may wait and stay: what stays on one state of the database keeps its log from being folded, and others waiting."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import cast

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from parley.core.errors import Overloaded
from parley.infra.postgres import RECONNECT_SECONDS, is_of_server

READ_SECONDS = 5.0
# SQLite's own steps between two looks at the clock: some tenths of a millisecond.
_STEPS = 10_000
_QUERY_CANCELED = "57014"
_PAUSE_SECONDS = 0.05

# A connection to read on, in a transaction that may take so many seconds; None: as many as it takes. Raises Overloaded.
Reading = Callable[[Engine, float | None], AbstractContextManager[Connection]]


@contextmanager
def reading_sqlite(engine: Engine, seconds: float | None) -> Iterator[Connection]:
    """The seconds are for all that runs in it."""
    with engine.connect() as connection, connection.begin():
        if seconds is None:
            yield connection
            return
        driver = cast("sqlite3.Connection", connection.connection.driver_connection)
        deadline = time.monotonic() + seconds
        driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        try:
            yield connection
        except DBAPIError as error:
            if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise _too_long() from error
            raise
        finally:
            driver.set_progress_handler(None, 0)


@contextmanager
def reading_postgres(engine: Engine, seconds: float | None) -> Iterator[Connection]:
    """The seconds are for each statement that runs in it, and for a server that restarts to be there again."""
    try:
        with _connected(engine, RECONNECT_SECONDS if seconds is None else seconds) as connection, connection.begin():
            if seconds is not None:
                milliseconds = str(round(seconds * 1000))
                connection.execute(text("SELECT set_config('statement_timeout', :ms, true)"), {"ms": milliseconds})
            yield connection
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _QUERY_CANCELED:
            raise _too_long() from error
        if is_of_server(error):
            raise _away() from error
        raise


def _connected(engine: Engine, seconds: float) -> Connection:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return engine.connect()
        except DBAPIError as error:
            if time.monotonic() >= deadline:
                raise _away() from error
            time.sleep(_PAUSE_SECONDS)


def _too_long() -> Overloaded:
    return Overloaded(
        "The records could not be read in time. Please ask for less at once, such as a shorter span of time or fewer groups, "
        "or retry your request later.",
        retry_after_seconds=5.0,
    )


def _away() -> Overloaded:
    return Overloaded(
        "The records cannot be read at the moment. Please retry your request later.", retry_after_seconds=2.0
    )
