"""Units of work: what callers hand to the writer, and how those that wait together are committed in one transaction."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")

# Writes items that wait together. It must do for each item exactly what it would do for that item alone.
BatchWrite = Callable[[Connection, Sequence[T]], None]

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

# Of PostgreSQL's classes of errors (the SQLSTATE's first two characters) those that a unit's own data or statement brings about.
# All others are the server's: no room, read only after a failover, a disk that fails, a statement that was cancelled.
_CLASSES_OF_UNITS = frozenset({"21", "22", "23", "42"})


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


class Unit(Struct, eq=False, kw_only=True):
    """What a caller waits for, and how it went."""

    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    callbacks: Sequence[Callable[[], None]] = ()


class Work(Unit, eq=False, kw_only=True):
    """Work of any kind, in a savepoint of its own where others are committed with it."""

    work: Callable[[Transaction], Any]
    call_loop: Callable[[Callable[[], None]], None]


class Item(Unit, eq=False, kw_only=True):
    """One of many alike, which one write may keep together."""

    write: BatchWrite[Any]
    item: Any
    # What is to be done in the order of the commits where the item was refused.
    on_refused: Callable[[], None] | None = None


def commit_together(connection: Connection, units: Sequence[Unit], begun: Callable[[Connection], None]) -> None:
    """Run the units in order in one transaction. Raises only what is fatal; then no unit may be answered as kept."""
    runs = _runs(units)
    for unit in units:
        # Of a try before, whose commit failed.
        unit.error, unit.callbacks = None, ()
    if len(runs) > 1 or not _commit_run(connection, runs[0], begun):
        with connection.begin():
            begun(connection)
            for run in runs:
                _write_run(connection, run)


def _runs(units: Sequence[Unit]) -> list[list[Unit]]:
    """The units in their order, cut where one write follows another: a run of items of one write is one call of it."""
    runs: list[list[Unit]] = []
    for unit in units:
        last = runs[-1][-1] if runs else None
        if isinstance(unit, Item) and isinstance(last, Item) and last.write is unit.write:
            runs[-1].append(unit)
        else:
            runs.append([unit])
    return runs


def _commit_run(connection: Connection, run: Sequence[Unit], begun: Callable[[Connection], None]) -> bool:
    """Commit a run of items that is all there is, without a savepoint: the usual case under load.

    Returns False, with nothing kept, where it is no such run, or where an item was refused: then each needs its savepoint.
    """
    if not isinstance(run[0], Item):
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


def _write_run(connection: Connection, run: Sequence[Unit]) -> None:
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


def _write_items(connection: Connection, run: Sequence[Unit]) -> None:
    items = [unit for unit in run if isinstance(unit, Item)]
    items[0].write(connection, [unit.item for unit in items])


def _run_in_savepoint(connection: Connection, unit: Unit) -> None:
    try:
        with connection.begin_nested():
            _execute(connection, unit)
    except Exception as error:
        if _is_fatal(error):
            raise
        # It belongs to the caller, who gets it as its own.
        unit.error = error
        if isinstance(unit, Item) and unit.on_refused is not None:
            unit.callbacks = (unit.on_refused,)


def _execute(connection: Connection, unit: Unit) -> None:
    if isinstance(unit, Work):
        transaction = Transaction(connection, unit.call_loop)
        unit.result = unit.work(transaction)
        unit.callbacks = transaction.callbacks
    elif isinstance(unit, Item):
        unit.write(connection, [unit.item])


def _is_fatal(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    state = getattr(error.orig, "sqlstate", None)
    return (
        error.connection_invalidated
        or (code is not None and code & 0xFF in _FATAL_CODES)
        or (state is not None and state[:2] not in _CLASSES_OF_UNITS)
    )
