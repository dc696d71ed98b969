"""The part of a query that every list has: its order, and where a page begins."""

from typing import TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, and_, or_

from parley.core.pages import PageRequest

S = TypeVar("S", bound=Select[tuple[object, ...]])


def paged(connection: Connection, query: S, table: Table, page: PageRequest, *, time: str, key: str = "id") -> S:
    """`query`, oldest first, with one row more than the page holds. An unknown `after` begins from the beginning.

    `time` and `key` name the columns of `table` that make the order: when, then which.
    """
    when, which = table.c[time], table.c[key]
    if page.after is not None:
        # Looked up among the rows of the query itself: an id of somebody else's list must not even shift this one.
        found = connection.execute(query.where(which == page.after).with_only_columns(when).limit(1)).first()
        if found is not None:
            query = query.where(_after(when, which, found[0], page.after))
    return query.order_by(when, which).limit(page.limit + 1)


def _after(when: "Column[object]", which: "Column[object]", time: object, key: str) -> ColumnElement[bool]:
    return or_(when > time, and_(when == time, which > key))
