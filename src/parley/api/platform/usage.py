"""`/v1/organization/usage/...`: what was used, in buckets of time, by project, person, key and model."""

from collections.abc import Mapping
from types import MappingProxyType

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.openai.opening import json_reply
from parley.api.platform.buckets import PageRule, asked_buckets, asked_groups, asked_sums
from parley.api.platform.listing import flag, texts
from parley.api.platform.schemas.replies import UsageBucket, UsagePage, UsageResult
from parley.domain.usage.model import Dimension, UsageSum

DIMENSIONS: Mapping[str, Dimension] = MappingProxyType(
    {
        "project_id": Dimension.PROJECT,
        "user_id": Dimension.USER,
        "api_key_id": Dimension.KEY,
        "model": Dimension.MODEL,
    }
)
# OpenAI's figures.
PAGES: Mapping[str, PageRule] = MappingProxyType(
    {"1m": PageRule(60, 1_440), "1h": PageRule(24, 168), "1d": PageRule(7, 31)}
)
# What clients group by that is the same for every request here: none is part of a batch, all are of one service tier.
_BATCH, _SERVICE_TIER = "batch", "service_tier"
SAME_FOR_ALL = (_BATCH, _SERVICE_TIER)


class UsageRoute:
    """Handler of one kind of usage: that of `endpoints`; without any, of none."""

    def __init__(self, kind: str, *endpoints: str) -> None:
        self._kind = kind
        self._endpoints = frozenset(endpoints)

    async def __call__(self, call: Call) -> ASGIApp:
        """What was used, in buckets of time."""
        page = asked_buckets(call, PAGES)
        same = frozenset(SAME_FOR_ALL) if self._kind == "completions" else frozenset()
        group_by = asked_groups(call, DIMENSIONS, besides=same)
        wanted = asked_sums(call, self._endpoints)
        is_about_batches = flag(call.http, _BATCH)
        has_none = is_about_batches or not self._endpoints
        sums = [] if has_none else await call.records.usage.sums(wanted, page.span, group_by)
        named = texts(call.http, "group_by") & same
        return json_reply(
            UsagePage(
                data=[
                    UsageBucket(
                        start_time=since, end_time=until, results=[self._result(each, named) for each in groups]
                    )
                    for since, until, groups in page.filled(sums)
                ],
                has_more=page.next_page is not None,
                next_page=page.next_page,
            )
        )

    def _result(self, found: UsageSum, named: frozenset[str]) -> UsageResult:
        usage = found.usage
        result = UsageResult(
            object=f"organization.usage.{self._kind}.result",
            num_model_requests=found.num_requests,
            project_id=found.group.get(Dimension.PROJECT),
            user_id=found.group.get(Dimension.USER),
            api_key_id=found.group.get(Dimension.KEY),
            model=found.group.get(Dimension.MODEL),
        )
        match self._kind:
            case "images":
                result.images = found.num_images
            case "audio_transcriptions":
                result.seconds = usage.audio_seconds
            case _:
                result.input_tokens = usage.input_tokens
        if self._kind == "completions":
            result.output_tokens = usage.output_tokens
            result.input_cached_tokens = usage.cached_tokens
            result.input_audio_tokens = result.output_audio_tokens = 0
            result.batch = False if _BATCH in named else None
            result.service_tier = "default" if _SERVICE_TIER in named else None
        return result


usage_of_completions = UsageRoute("completions", "/v1/chat/completions", "/v1/completions", "/v1/edits")
usage_of_embeddings = UsageRoute("embeddings", "/v1/embeddings")
usage_of_moderations = UsageRoute("moderations", "/v1/moderations")
usage_of_images = UsageRoute("images", "/v1/images/generations", "/v1/images/edits", "/v1/images/variations")
usage_of_transcriptions = UsageRoute("audio_transcriptions", "/v1/audio/transcriptions", "/v1/audio/translations")
# What OpenAI counts and no endpoint here does: every bucket is empty.
KINDS_OF_NOTHING = (
    "audio_speeches",
    "code_interpreter_sessions",
    "decisions",
    "file_search_calls",
    "vector_stores",
    "web_search_calls",
)
usage_of_nothing = UsageRoute("nothing")
