"""`/v1/organization/usage/...`: what was used, in buckets of time, by project, key and model."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.openai.opening import json_reply
from parley.api.platform.listing import choice, integer, text, texts
from parley.api.platform.schemas.replies import UsageBucket, UsagePage, UsageResult
from parley.core.errors import InvalidRequest
from parley.domain.usage.model import Dimension, SumFilter, UsageSum

_DIMENSIONS: Mapping[str, Dimension] = MappingProxyType(
    {"project_id": Dimension.PROJECT, "api_key_id": Dimension.KEY, "model": Dimension.MODEL}
)


@dataclass(frozen=True, slots=True)
class _Width:
    """A bucket's width: its seconds, and how many of them a page has, usually and at most."""

    seconds: int
    usual: int
    most: int


# OpenAI's figures.
_WIDTHS: Mapping[str, _Width] = MappingProxyType(
    {"1m": _Width(60, 60, 1_440), "1h": _Width(3_600, 24, 168), "1d": _Width(86_400, 7, 31)}
)


class UsageRoute:
    """Handler of one kind of usage: that of `endpoints`."""

    def __init__(self, kind: str, *endpoints: str) -> None:
        self._object = f"organization.usage.{kind}.result"
        self._is_generation = kind == "completions"
        self._endpoints = frozenset(endpoints)

    async def __call__(self, call: Call) -> ASGIApp:
        """What was used, in buckets of time."""
        http = call.http
        width = _WIDTHS[choice(http, "bucket_width", tuple(_WIDTHS), "1d")]
        start, end = _span(call, width)
        num = integer(http, "limit") or width.usual
        if num > width.most:
            raise InvalidRequest(
                f"Invalid 'limit': expected at most {width.most} for this bucket_width.",
                param="limit",
                code="integer_above_max_value",
            )
        starts = list(range(start, end, width.seconds))
        shown = starts[:num]
        spans = [(float(each), float(min(each + width.seconds, end))) for each in shown]
        dimensions = _group_by(call)
        sums = await call.records.usage.sums(self._wanted(call), spans, dimensions)
        has_more = len(starts) > num
        return json_reply(
            UsagePage(
                data=[
                    UsageBucket(
                        start_time=int(since), end_time=int(until), results=[self._result(each) for each in groups]
                    )
                    for (since, until), groups in zip(spans, sums, strict=True)
                ],
                has_more=has_more,
                next_page=f"page_{starts[num]}" if has_more else None,
            )
        )

    def _wanted(self, call: Call) -> SumFilter:
        principal = call.require_principal()
        asked = texts(call.http, "project_ids")
        theirs = principal.project_ids
        project_ids = asked & theirs if asked and theirs is not None else asked or theirs
        return SumFilter(
            organization_id=principal.organization_id,
            endpoints=self._endpoints,
            project_ids=project_ids,
            key_ids=texts(call.http, "api_key_ids"),
            models=texts(call.http, "models"),
        )

    def _result(self, found: UsageSum) -> UsageResult:
        usage = found.usage
        result = UsageResult(
            object=self._object,
            input_tokens=usage.input_tokens,
            num_model_requests=found.num_requests,
            project_id=found.group.get(Dimension.PROJECT),
            api_key_id=found.group.get(Dimension.KEY),
            model=found.group.get(Dimension.MODEL),
        )
        if self._is_generation:
            result.output_tokens = usage.output_tokens
            result.input_cached_tokens = usage.cached_tokens
            result.input_audio_tokens = result.output_audio_tokens = 0
            result.batch = None
        return result


usage_of_completions = UsageRoute("completions", "/v1/chat/completions", "/v1/completions", "/v1/edits")
usage_of_embeddings = UsageRoute("embeddings", "/v1/embeddings")
usage_of_moderations = UsageRoute("moderations", "/v1/moderations")


def _span(call: Call, width: _Width) -> tuple[int, int]:
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


def _group_by(call: Call) -> list[Dimension]:
    names = texts(call.http, "group_by")
    unknown = sorted(names - set(_DIMENSIONS))
    if unknown:
        raise InvalidRequest(
            f"Invalid 'group_by': expected {', '.join(_DIMENSIONS)}.", param="group_by", code="invalid_value"
        )
    return [dimension for name, dimension in _DIMENSIONS.items() if name in names]
