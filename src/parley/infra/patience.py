"""How long a reader may stay on one state of the database: what stays keeps the log from being folded, and others waiting."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import cast

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from parley.core.errors import Overloaded

READ_SECONDS = 5.0
# SQLite's own steps between two looks at the clock: some tenths of a millisecond.
_STEPS = 10_000
_QUERY_CANCELED = "57014"

# Ends what runs inside it once the seconds are over. Raises Overloaded.
Patience = Callable[[Connection, float], AbstractContextManager[None]]


@contextmanager
def patience_of_sqlite(connection: Connection, seconds: float) -> Iterator[None]:
    """For all that runs on a file's connection in it."""
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    deadline = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise _too_long() from error
        raise
    finally:
        driver.set_progress_handler(None, 0)


@contextmanager
def patience_of_postgres(connection: Connection, seconds: float) -> Iterator[None]:
    """For each statement that runs in it; it ends with the transaction."""
    milliseconds = str(round(seconds * 1000))
    connection.execute(text("SELECT set_config('statement_timeout', :ms, true)"), {"ms": milliseconds})
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _QUERY_CANCELED:
            raise _too_long() from error
        raise


def _too_long() -> Overloaded:
    return Overloaded(
        "The records could not be read in time. Please ask for less at once, such as a shorter span of time or fewer groups, "
        "or retry your request later.",
        retry_after_seconds=5.0,
    )
