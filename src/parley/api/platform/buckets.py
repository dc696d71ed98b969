"""Buckets of time: how sums over a span are asked for, page by page, and which of them a caller may see."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType

from parley.api.call import Call
from parley.api.platform.listing import choice, integer, text, texts
from parley.core.errors import InvalidRequest
from parley.domain.usage.model import Dimension, Span, SumFilter, UsageSum, Width

# What a query calls the widths.
WIDTHS: Mapping[str, Width] = MappingProxyType({"1m": Width.MINUTE, "1h": Width.HOUR, "1d": Width.DAY})


@dataclass(frozen=True, slots=True)
class PageRule:
    """How many buckets of one width a page has, usually and at most."""

    usual: int
    most: int


@dataclass(frozen=True, slots=True)
class Buckets:
    """One page of buckets; `next_page` where others follow."""

    span: Span
    next_page: str | None

    def filled(self, sums: Sequence[UsageSum]) -> Iterator[tuple[int, int, list[UsageSum]]]:
        """Each bucket as its start, its end, which is excluded, and its groups; also those without any."""
        groups: dict[int, list[UsageSum]] = {}
        for each in sums:
            groups.setdefault(each.start_at, []).append(each)
        width = self.span.width.value
        for start in range(self.span.since, self.span.until, width):
            yield start, start + width, groups.get(start, [])


def asked_buckets(call: Call, rules: Mapping[str, PageRule]) -> Buckets:
    """The page that the query asks for. Raises InvalidRequest."""
    http = call.http
    name = choice(http, "bucket_width", tuple(rules), "1d")
    width, rule = WIDTHS[name], rules[name]
    asked = integer(http, "limit")
    num = rule.usual if asked is None else asked
    if num < 1:
        raise InvalidRequest("Invalid 'limit': expected at least 1.", param="limit", code="integer_below_min_value")
    if num > rule.most:
        raise InvalidRequest(
            f"Invalid 'limit': expected at most {rule.most} for this bucket_width.",
            param="limit",
            code="integer_above_max_value",
        )
    span = asked_span(call, width)
    start = _start_of_page(call, span)
    end = min(start + num * width.value, span.until)
    return Buckets(
        span=Span(width=width, since=start, until=end), next_page=f"page_{end}" if end < span.until else None
    )


def asked_span(call: Call, width: Width) -> Span:
    """From `start_time` until `end_time`, or now: the whole buckets of UTC that they are in. Raises InvalidRequest."""
    start = integer(call.http, "start_time")
    if start is None:
        raise InvalidRequest(
            "Missing required parameter: 'start_time'.", param="start_time", code="missing_required_parameter"
        )
    end = integer(call.http, "end_time")
    if end is None:
        end = int(call.services.clock.now()) + 1
    since = width.start_of(start)
    return Span(width=width, since=since, until=max(since, width.start_of(end + width.value - 1)))


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
        user_ids=texts(call.http, "user_ids"),
        key_ids=texts(call.http, "api_key_ids"),
        models=texts(call.http, "models") | texts(call.http, "line_items"),
    )


def asked_groups(
    call: Call, dimensions: Mapping[str, Dimension], *, besides: Set[str] = frozenset()
) -> list[Dimension]:
    """What to group by, of the words that `dimensions` knows; words `besides` are let pass. Raises InvalidRequest."""
    names = texts(call.http, "group_by")
    if names - set(dimensions) - besides:
        known = ", ".join([*dimensions, *sorted(besides)])
        raise InvalidRequest(f"Invalid 'group_by': expected {known}.", param="group_by", code="invalid_value")
    return [dimension for name, dimension in dimensions.items() if name in names]


def _start_of_page(call: Call, span: Span) -> int:
    """Where the first bucket of the page begins. Raises InvalidRequest."""
    page = text(call.http, "page")
    if page is None:
        return span.since
    mark = page.removeprefix("page_")
    if not mark.isdecimal() or not span.since <= int(mark) < span.until or (int(mark) - span.since) % span.width.value:
        raise InvalidRequest("Invalid 'page': that is no page of this query.", param="page", code="invalid_value")
    return int(mark)
