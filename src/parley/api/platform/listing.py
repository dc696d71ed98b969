"""Lists: how a page is asked for (`limit`, `after`, `before`), how it is answered, and how query parameters are read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, Literal, TypeVar

from starlette.requests import Request
from starlette.types import ASGIApp

from parley.api.openai.opening import json_reply
from parley.api.openai.schemas.shared import ReplyStruct
from parley.core.errors import InvalidRequest
from parley.core.pages import Page, PageRequest

T = TypeVar("T")
W = TypeVar("W", bound=ReplyStruct)

MAX_PAGE = 100
MAX_ID_CHARACTERS = 128
_INTEGER = re.compile(r"[0-9]{1,15}")


class Listing(ReplyStruct, Generic[W], kw_only=True):
    """One page of a list, in OpenAI's envelope."""

    object: Literal["list"] = "list"
    data: list[W]
    first_id: str | None
    last_id: str | None
    has_more: bool


def page_request(http: Request, *, usual: int = 20) -> PageRequest:
    """The page that the query asks for. Raises InvalidRequest."""
    limit = integer(http, "limit")
    if limit is not None and not 1 <= limit <= MAX_PAGE:
        raise _invalid("limit", f"an integer from 1 to {MAX_PAGE}")
    return PageRequest(limit=limit or usual, after=text(http, "after"))


def page_request_either_way(http: Request, *, usual: int = 20) -> PageRequest:
    """As `page_request`, of a list that can be read towards its beginning as well."""
    wanted, before = page_request(http, usual=usual), text(http, "before")
    if before is not None and wanted.after is not None:
        raise _invalid("before", "either 'after' or 'before'")
    return replace(wanted, before=before)


def page_reply(page: Page[T], to_wire: Callable[[T], W], id_of: Callable[[W], str]) -> ASGIApp:
    """The reply with a page of objects; `id_of` gives what `after` names."""
    data = [to_wire(item) for item in page.items]
    return json_reply(
        Listing(
            data=data,
            first_id=id_of(data[0]) if data else None,
            last_id=id_of(data[-1]) if data else None,
            has_more=page.has_more,
        )
    )


def text(http: Request, name: str) -> str | None:
    """A query parameter; the empty one is none. Raises InvalidRequest for one that no id of ours is as long as."""
    value = _only(http, name) or ""
    if len(value) > MAX_ID_CHARACTERS:
        raise _invalid(name, f"at most {MAX_ID_CHARACTERS} characters")
    return value or None


def texts(http: Request, name: str) -> frozenset[str]:
    """A query parameter that may come several times, as `name` or `name[]`, or with commas in it."""
    values: Sequence[str] = [*http.query_params.getlist(name), *http.query_params.getlist(f"{name}[]")]
    parts = [part for value in values for part in value.split(",")]
    if not all(parts):
        raise _invalid(name, "no empty value")
    if len(parts) > MAX_PAGE:
        raise _invalid(name, f"at most {MAX_PAGE} values")
    return frozenset(parts)


def integer(http: Request, name: str) -> int | None:
    """A query parameter that is a whole number, not below 0. Raises InvalidRequest."""
    value = _only(http, name)
    if value is None:
        return None
    if not _INTEGER.fullmatch(value):
        raise _invalid(name, "a whole number")
    return int(value)


def flag(http: Request, name: str) -> bool:
    """A query parameter that is `true` or `false`. Raises InvalidRequest."""
    value = _only(http, name)
    if value is None:
        return False
    if value.lower() not in {"true", "false", "1", "0"}:
        raise _invalid(name, "true or false")
    return value.lower() in {"true", "1"}


def choice(http: Request, name: str, choices: Sequence[str], usual: str) -> str:
    """A query parameter that is one of `choices`. Raises InvalidRequest."""
    value = _only(http, name)
    if value is None:
        return usual
    if value not in choices:
        raise _invalid(name, "one of " + ", ".join(choices))
    return value


def _only(http: Request, name: str) -> str | None:
    """A parameter's value; None where it is not there. Raises InvalidRequest where it has several."""
    values = http.query_params.getlist(name)
    if len(values) > 1:
        raise _invalid(name, f"one value, not {len(values)}")
    return values[0] if values else None


def _invalid(name: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{name}': expected {expected}.", param=name, code="invalid_value")
