"""Buckets of time: how sums over a span are asked for, page by page, and which of them a caller may see."""

from collections.abc import Mapping
from dataclasses import dataclass

from parley.api.call import Call
from parley.api.platform.listing import choice, integer, text, texts
from parley.core.errors import InvalidRequest
from parley.domain.usage.model import Dimension, SumFilter


@dataclass(frozen=True, slots=True)
class Width:
    """A bucket's width: its seconds, and how many of them a page has, usually and at most."""

    seconds: int
    usual: int
    most: int


@dataclass(frozen=True, slots=True)
class Buckets:
    """One page: a (start, end) for each bucket, its end excluded, in seconds; `next_page` where others follow."""

    spans: list[tuple[float, float]]
    next_page: str | None


def asked_buckets(call: Call, widths: Mapping[str, Width]) -> Buckets:
    """The page that the query asks for. Raises InvalidRequest."""
    http = call.http
    width = widths[choice(http, "bucket_width", tuple(widths), "1d")]
    start, end = _span(call, width)
    asked = integer(http, "limit")
    num = width.usual if asked is None else asked
    if num < 1:
        raise InvalidRequest("Invalid 'limit': expected at least 1.", param="limit", code="integer_below_min_value")
    if num > width.most:
        raise InvalidRequest(
            f"Invalid 'limit': expected at most {width.most} for this bucket_width.",
            param="limit",
            code="integer_above_max_value",
        )
    starts = list(range(start, end, width.seconds))
    return Buckets(
        spans=[(float(each), float(min(each + width.seconds, end))) for each in starts[:num]],
        next_page=f"page_{starts[num]}" if len(starts) > num else None,
    )


def asked_sums(call: Call, endpoints: frozenset[str] | None) -> SumFilter:
    """Whose usage is asked for, no more than the caller may see; `endpoints` None: of every endpoint."""
    principal = call.require_principal()
    asked = texts(call.http, "project_ids")
    theirs = principal.project_ids
    project_ids = asked & theirs if asked and theirs is not None else asked or theirs
    return SumFilter(
        organization_id=principal.organization_id,
        endpoints=endpoints,
        project_ids=project_ids,
        key_ids=texts(call.http, "api_key_ids"),
        models=texts(call.http, "models"),
    )


def asked_groups(call: Call, dimensions: Mapping[str, Dimension]) -> list[Dimension]:
    """What to group by, of the words that `dimensions` knows. Raises InvalidRequest."""
    names = texts(call.http, "group_by")
    if names - set(dimensions):
        raise InvalidRequest(
            f"Invalid 'group_by': expected {', '.join(dimensions)}.", param="group_by", code="invalid_value"
        )
    return [dimension for name, dimension in dimensions.items() if name in names]


def _span(call: Call, width: Width) -> tuple[int, int]:
    """Where the first bucket of the page begins, and where the last ends. Raises InvalidRequest."""
    start = integer(call.http, "start_time")
    if start is None:
        raise InvalidRequest(
            "Missing required parameter: 'start_time'.", param="start_time", code="missing_required_parameter"
        )
    end = integer(call.http, "end_time") or int(call.services.clock.now()) + 1
    # Buckets begin at the full minute, hour or day of UTC.
    start -= start % width.seconds
    page = text(call.http, "page")
    if page is not None:
        mark = page.removeprefix("page_")
        if not mark.isdecimal() or not start <= int(mark) < end or (int(mark) - start) % width.seconds:
            raise InvalidRequest("Invalid 'page': that is no page of this query.", param="page", code="invalid_value")
        start = int(mark)
    return start, min(end, start + (width.most + 1) * width.seconds)
