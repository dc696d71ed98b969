"""The part of a query that every list has: its order, and where a page begins."""

from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, and_, or_

from parley.core.pages import PageRequest, unknown_cursor

S = TypeVar("S", bound=Select[tuple[object, ...]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a list is ordered by: columns of `table` that say when, then which."""

    table: Table
    time: str = "created_at"
    key: str = "id"


def paged(
    connection: Connection, query: S, order: Order, page: PageRequest, *, shown: ColumnElement[bool] | None = None
) -> S:
    """Those of `query` that are `shown`, oldest first, with one row more than the page holds.

    What ends meanwhile is shown no more and keeps its place in the list. Raises InvalidRequest for an `after` that has none.
    """
    when, which = order.table.c[order.time], order.table.c[order.key]
    if page.after is not None:
        # Looked up among the rows of the query itself: an id of somebody else's list must not even shift this one.
        found = connection.execute(query.where(which == page.after).with_only_columns(when).limit(1)).first()
        if found is None:
            raise unknown_cursor("after")
        query = query.where(_after(when, which, found[0], page.after))
    if shown is not None:
        query = query.where(shown)
    return query.order_by(when, which).limit(page.limit + 1)


def _after(when: "Column[object]", which: "Column[object]", time: object, key: str) -> ColumnElement[bool]:
    return or_(when > time, and_(when == time, which > key))
