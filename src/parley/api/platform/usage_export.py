"""`/v1/organization/usage/export`: usage and costs of every endpoint as one file."""

from collections.abc import AsyncGenerator, Mapping
from functools import partial
from types import MappingProxyType

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.platform.buckets import WIDTHS, asked_groups, asked_span, asked_sums
from parley.api.platform.files import PORTION_ROWS, Rows, file_reply
from parley.api.platform.listing import choice
from parley.core.errors import InvalidRequest
from parley.domain.usage.model import Dimension
from parley.operations.usage_reading import Question, usage_table

DIMENSIONS: Mapping[str, Dimension] = MappingProxyType(
    {
        "project_id": Dimension.PROJECT,
        "user_id": Dimension.USER,
        "api_key_id": Dimension.KEY,
        "model": Dimension.MODEL,
        "endpoint": Dimension.ENDPOINT,
    }
)
_MAX_ROWS = 100_000


async def export_usage(call: Call) -> ASGIApp:
    """What was used and charged, in groups: JSON lines, or CSV with `format=csv`."""
    span = asked_span(call, WIDTHS[choice(call.http, "bucket_width", tuple(WIDTHS), "1d")])
    question = Question(
        wanted=asked_sums(call, None),
        span=span,
        group_by=tuple(asked_groups(call, DIMENSIONS)),
        limit=_MAX_ROWS,
    )
    records = call.records
    table = await records.database.read(partial(usage_table, accounts=records.accounts, question=question))
    if table.is_cut:
        raise InvalidRequest(
            f"That would be more than {_MAX_ROWS:,} rows: ask for a shorter time, wider buckets or fewer groups.",
            param="start_time",
            code="too_many_rows",
        )
    return file_reply(call, "usage", table.columns, _portions(table.rows))


async def _portions(rows: Rows) -> AsyncGenerator[Rows, None]:
    """The rows that are here already: what is left of them to do is to write them."""
    for start in range(0, len(rows), PORTION_ROWS):
        yield rows[start : start + PORTION_ROWS]
