"""Rows by the driver itself: the few statements that every request pays for, at a third of the price of an expression."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from operator import add
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

_FEW_ROWS = 8
# SQLite takes 32,766 values in a statement, and PostgreSQL's protocol 65,535.
_MOST_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class RowStatement:
    """A statement in SQL that SQLite and PostgreSQL both read, with one `?` for each value of a row.

    `row` is the part of it that stands for one row, where one statement may have several: each step of a driver gives the
    interpreter's lock away and has to get it back from the loop.
    """

    sql: str
    row: str | None = None
    # What is done to the rows of one call before.
    fold: Callable[[Sequence[tuple[Any, ...]]], Sequence[tuple[Any, ...]]] | None = None

    @cached_property
    def _texts(self) -> dict[tuple[str, int], str]:
        """The statement by the driver's style and the number of rows, as far as it was needed."""
        return {}

    def execute(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run it for all rows, in the transaction that is open. Raises what SQLAlchemy would."""
        if not rows:
            return
        if self.fold is not None:
            rows = self.fold(rows)
        cursor = connection.connection.cursor()
        try:
            if self.row is None:
                cursor.executemany(self._for(connection), rows)
            else:
                for part in _parts(rows):
                    cursor.execute(self._for(connection, len(part)), tuple(chain.from_iterable(part)))
        except connection.dialect.loaded_dbapi.Error as error:
            raise self._wrapped(connection, error) from error
        finally:
            cursor.close()

    def fetch(self, connection: Connection, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        """The first row of a query's result; None: there is none. Raises what SQLAlchemy would."""
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._for(connection), values)
            row: tuple[Any, ...] | None = cursor.fetchone()
        except connection.dialect.loaded_dbapi.Error as error:
            raise self._wrapped(connection, error) from error
        finally:
            cursor.close()
        return row

    def _for(self, connection: Connection, num_rows: int = 1) -> str:
        style = connection.dialect.paramstyle
        text = self._texts.get((style, num_rows))
        if text is None:
            text = self.sql
            if self.row is not None:
                text = text.replace(self.row, ", ".join([self.row] * num_rows), 1)
            if style != "qmark":
                text = text.replace("?", "%s")
            self._texts[style, num_rows] = text
        return text

    def _wrapped(self, connection: Connection, error: Exception) -> BaseException:
        dialect = connection.dialect
        return DBAPIError.instance(
            self.sql,
            None,
            error,
            dialect.loaded_dbapi.Error,
            connection_invalidated=dialect.is_disconnect(error, None, None),  # type: ignore[arg-type] # the stub wants a base class of no driver
            dialect=dialect,
        )


def insert_into(table: str, columns: Sequence[str]) -> RowStatement:
    """`INSERT INTO table (columns) VALUES (?, ...)`; the names are ours, never a client's."""
    return RowStatement(sql=_insert(table, columns), row=_row(columns))


def add_to_row(table: str, *, key: Sequence[str], rest: Sequence[str] = (), summed: Sequence[str]) -> RowStatement:
    """Insert a row of `key`, `rest` and `summed`, in this order; where its key is there, add to the summed columns."""
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in summed)
    columns = (*key, *rest, *summed)
    return RowStatement(
        sql=f"{_insert(table, columns)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}",
        row=_row(columns),
        fold=partial(_folded, num_key=len(key), num_kept=len(key) + len(rest)),
    )


def _folded(rows: Sequence[tuple[Any, ...]], *, num_key: int, num_kept: int) -> Sequence[tuple[Any, ...]]:
    """The rows with those of one key added up: PostgreSQL refuses a statement that would add to one row twice."""
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in rows:
        key = row[:num_key]
        before = found.get(key)
        found[key] = row if before is None else (*before[:num_kept], *map(add, before[num_kept:], row[num_kept:]))
    return list(found.values())


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {_row(columns)}"  # noqa: S608 - as above


def _row(columns: Sequence[str]) -> str:
    return f"({', '.join('?' for _ in columns)})"


def _parts(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Of a few sizes, so that the driver has each statement prepared."""
    start = 0
    while left := len(rows) - start:
        size = left if left <= _FEW_ROWS else min(1 << left.bit_length() - 1, _MOST_ROWS)
        yield rows[start : start + size]
        start += size
