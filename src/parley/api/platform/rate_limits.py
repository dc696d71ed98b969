"""`/v1/organization/projects/{id}/rate_limits`: the limits of a project, model by model."""

from msgspec import UnsetType
from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain.decode import JsonBody
from parley.api.openai.opening import json_reply
from parley.api.platform.listing import page_reply, page_request_either_way
from parley.api.platform.schemas import replies, requests
from parley.core.errors import NotFound
from parley.core.pages import Page, page_ahead, page_of
from parley.operations import rate_limits
from parley.operations.rate_limits import ModelLimits

_UPDATE = JsonBody(requests.UpdateRateLimitRequest)
_PREFIX = "rl-"
# As in the headers, where nothing limits.
_NO_LIMIT = 1_000_000_000


async def list_rate_limits(call: Call) -> ASGIApp:
    """The limits that count for a project, for each model."""
    found = await rate_limits.list_limits(call.records, call.actor(), call.path_params["project_id"])
    wanted = page_request_either_way(call.http, usual=100)
    rest = [limits for limits in found if wanted.after is None or _PREFIX + limits.model > wanted.after]
    page: Page[ModelLimits] = page_of(rest, wanted.limit)
    if wanted.before is not None:
        ahead = [limits for limits in reversed(found) if _PREFIX + limits.model < wanted.before]
        page = page_ahead(ahead, wanted.limit)
    return page_reply(page, _to_wire, lambda limit: limit.id)


async def modify_rate_limit(call: Call) -> ASGIApp:
    """Set a project's own limits on a model, or take them away (null); what is absent stays as it is."""
    body = await _UPDATE.read(call.http)
    rate_limit_id = call.path_params["rate_limit_id"]
    if not rate_limit_id.startswith(_PREFIX):
        # Told behind the project, which may be another's.
        await rate_limits.list_limits(call.records, call.actor(), call.path_params["project_id"])
        raise NotFound("No such rate limit.")
    caps = {
        "requests_per_minute": body.max_requests_per_1_minute,
        "tokens_per_minute": body.max_tokens_per_1_minute,
        "images_per_minute": body.max_images_per_1_minute,
        "audio_minutes_per_minute": body.max_audio_minutes_per_1_minute,
        "requests_per_day": body.max_requests_per_1_day,
        "tokens_per_day": body.max_tokens_per_1_day,
        "concurrent_requests": body.max_concurrent_requests,
    }
    wanted = {name: cap for name, cap in caps.items() if not isinstance(cap, UnsetType)}
    changed = await rate_limits.change_limits(
        call.records, call.actor(), call.path_params["project_id"], rate_limit_id.removeprefix(_PREFIX), wanted
    )
    return json_reply(_to_wire(changed))


def _to_wire(found: ModelLimits) -> replies.RateLimit:
    limits = found.limits
    return replies.RateLimit(
        id=_PREFIX + found.model,
        model=found.model,
        max_requests_per_1_minute=_or_no_limit(limits.requests_per_minute),
        max_tokens_per_1_minute=_or_no_limit(limits.tokens_per_minute),
        max_images_per_1_minute=limits.images_per_minute,
        max_audio_minutes_per_1_minute=limits.audio_minutes_per_minute,
        max_requests_per_1_day=limits.requests_per_day,
        max_tokens_per_1_day=limits.tokens_per_day,
        max_concurrent_requests=limits.concurrent_requests,
    )


def _or_no_limit(limit: int | None) -> int:
    return _NO_LIMIT if limit is None else limit
