"""`/v1/organization/costs`: what was charged each day, by project and by model."""

from collections.abc import Mapping
from types import MappingProxyType

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.openai.opening import json_reply
from parley.api.platform.buckets import PageRule, asked_buckets, asked_groups, asked_sums
from parley.api.platform.schemas.replies import Amount, CostBucket, CostPage, CostResult
from parley.core.money import to_number
from parley.domain.usage.model import Dimension, UsageSum

# A line of the bill is a snapshot: each has prices of its own.
DIMENSIONS: Mapping[str, Dimension] = MappingProxyType(
    {
        "project_id": Dimension.PROJECT,
        "user_id": Dimension.USER,
        "line_item": Dimension.MODEL,
        "api_key_id": Dimension.KEY,
    }
)
# OpenAI's figures.
PAGES: Mapping[str, PageRule] = MappingProxyType({"1d": PageRule(7, 180)})


async def list_costs(call: Call) -> ASGIApp:
    """What the usage records of each day were charged, on whatever the charge drew: a grant, paid credit, or nothing."""
    page = asked_buckets(call, PAGES)
    sums = await call.records.usage.sums(asked_sums(call, None), page.span, asked_groups(call, DIMENSIONS))
    return json_reply(
        CostPage(
            data=[
                CostBucket(start_time=since, end_time=until, results=[_result(each) for each in groups])
                for since, until, groups in page.filled(sums)
            ],
            has_more=page.next_page is not None,
            next_page=page.next_page,
        )
    )


def _result(found: UsageSum) -> CostResult:
    return CostResult(
        amount=Amount(value=to_number(found.charge_nano)),
        line_item=found.group.get(Dimension.MODEL),
        project_id=found.group.get(Dimension.PROJECT),
        user_id=found.group.get(Dimension.USER),
        api_key_id=found.group.get(Dimension.KEY),
    )
