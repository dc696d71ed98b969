"""`/v1/organization/usage/...`: what was used, in buckets of time, by project, key and model."""

from collections.abc import Mapping
from types import MappingProxyType

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.openai.opening import json_reply
from parley.api.platform.buckets import Width, asked_buckets, asked_groups, asked_sums
from parley.api.platform.schemas.replies import UsageBucket, UsagePage, UsageResult
from parley.domain.usage.model import Dimension, UsageSum

DIMENSIONS: Mapping[str, Dimension] = MappingProxyType(
    {"project_id": Dimension.PROJECT, "api_key_id": Dimension.KEY, "model": Dimension.MODEL}
)


# OpenAI's figures.
WIDTHS: Mapping[str, Width] = MappingProxyType(
    {"1m": Width(60, 60, 1_440), "1h": Width(3_600, 24, 168), "1d": Width(86_400, 7, 31)}
)


class UsageRoute:
    """Handler of one kind of usage: that of `endpoints`."""

    def __init__(self, kind: str, *endpoints: str) -> None:
        self._object = f"organization.usage.{kind}.result"
        self._is_generation = kind == "completions"
        self._endpoints = frozenset(endpoints)

    async def __call__(self, call: Call) -> ASGIApp:
        """What was used, in buckets of time."""
        page = asked_buckets(call, WIDTHS)
        wanted = asked_sums(call, self._endpoints)
        sums = await call.records.usage.sums(wanted, page.spans, asked_groups(call, DIMENSIONS))
        return json_reply(
            UsagePage(
                data=[
                    UsageBucket(
                        start_time=int(since), end_time=int(until), results=[self._result(each) for each in groups]
                    )
                    for (since, until), groups in zip(page.spans, sums, strict=True)
                ],
                has_more=page.next_page is not None,
                next_page=page.next_page,
            )
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
