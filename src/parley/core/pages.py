"""Pages of a list: what comes after an object of it, and whether more follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from parley.core.errors import InvalidRequest

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """At most `limit` objects behind the one whose id is `after`; None: from the beginning. Or, where a list can do that, those
    directly ahead of `before`, in the list's order."""

    limit: int = 20
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some objects in their order, and whether others follow."""

    items: Sequence[T]
    has_more: bool


def unknown_cursor(name: Literal["after", "before"]) -> InvalidRequest:
    """What a page behind, or ahead of, something is refused with that is not in the list: deleted, or another's, told alike."""
    return InvalidRequest(
        f"Invalid '{name}': this list has no such object. If it was deleted meanwhile, begin the list again.",
        param=name,
        code="invalid_value",
    )


def page_of(items: Sequence[T], limit: int) -> Page[T]:
    """A page of what was read with one more than `limit`."""
    return Page(items=items[:limit], has_more=len(items) > limit)


def page_ahead(items: Sequence[T], limit: int) -> Page[T]:
    """The page in front of something, out of what was read from there towards the beginning, with one more than `limit`."""
    return Page(items=items[:limit][::-1], has_more=len(items) > limit)
