"""Rows by the driver itself: the few statements that every request pays for, at a third of the price of an expression."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


@dataclass(frozen=True, kw_only=True)
class RowStatement:
    """A statement in SQL that SQLite and PostgreSQL both read, with one `?` for each value of a row."""

    sql: str

    @cached_property
    def _percent_sql(self) -> str:
        return self.sql.replace("?", "%s")

    def execute(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run it for each row, in the transaction that is open. Raises what SQLAlchemy would."""
        if not rows:
            return
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(self._for(connection), rows)
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

    def _for(self, connection: Connection) -> str:
        return self.sql if connection.dialect.paramstyle == "qmark" else self._percent_sql

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
    return RowStatement(sql=_insert(table, columns))


def add_to_row(table: str, *, key: Sequence[str], rest: Sequence[str] = (), summed: Sequence[str]) -> RowStatement:
    """Insert a row of `key`, `rest` and `summed`, in this order; where its key is there, add to the summed columns."""
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in summed)
    return RowStatement(
        sql=f"{_insert(table, (*key, *rest, *summed))} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}"
    )


def _insert(table: str, columns: Sequence[str]) -> str:
    places = ", ".join("?" for _ in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - as above
