"""What the OpenAPI document says of the query parameters of lists, sums and the audit log; `listing.py` reads them."""

from collections.abc import Mapping, Sequence

from parley.api.operation import QueryParameter
from parley.api.platform.buckets import WIDTHS, PageRule
from parley.api.platform.listing import MAX_ID_CHARACTERS, MAX_PAGE

_WHOLE = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
_TEXT = {"type": "string", "maxLength": MAX_ID_CHARACTERS}

INCLUDE_ARCHIVED = QueryParameter(name="include_archived", schema={"type": "boolean"}, description="Archived ones too.")


def _texts(name: str, description: str) -> QueryParameter:
    schema = {"type": "array", "items": {"type": "string", "minLength": 1, "pattern": "^[^,]+$"}, "maxItems": MAX_PAGE}
    return QueryParameter(name=name, schema=schema, description=description)


EMAILS = _texts("emails", "Only the members with these addresses.")
FORMAT = QueryParameter(
    name="format", schema={"type": "string", "enum": ["jsonl", "csv"]}, description="What kind of file; usually jsonl."
)
_AFTER = QueryParameter(name="after", schema=_TEXT, description="The id behind which the page begins.")
BEFORE = QueryParameter(name="before", schema=_TEXT, description="The id in front of which the page ends, instead.")


def page(*, usual: int = 20) -> tuple[QueryParameter, ...]:
    """Of a list that comes page by page."""
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": usual}
    return (QueryParameter(name="limit", schema=limit, description="How many at most."), _AFTER)


def audit(*more: QueryParameter) -> tuple[QueryParameter, ...]:
    """Of the audit log: which of its entries."""
    times = (
        ("gt", "After this second of the epoch."),
        ("gte", "Not before it."),
        ("lt", "Before it."),
        ("lte", "Not after it."),
    )
    lists = ("event_types", "project_ids", "actor_ids", "actor_emails", "resource_ids")
    return (
        *more,
        *(QueryParameter(name=f"effective_at[{name}]", schema=_WHOLE, description=text) for name, text in times),
        *(_texts(name, "Only entries of these.") for name in lists),
    )


def exported() -> tuple[QueryParameter, ...]:
    """Of the audit log as a file."""
    return audit(FORMAT, _AFTER)


def sums(rules: Mapping[str, PageRule], dimensions: Sequence[str]) -> tuple[QueryParameter, ...]:
    """Of sums over a span of time, page by page, in buckets of one of the widths that `rules` names."""
    most = max(rule.most for rule in rules.values())
    return (
        *_span(list(rules)),
        QueryParameter(
            name="limit",
            schema={"type": "integer", "minimum": 1, "maximum": most},
            description="How many buckets at most. "
            + ", ".join(f"{name}: {rule.usual}, at most {rule.most}" for name, rule in rules.items())
            + ".",
        ),
        QueryParameter(name="page", schema=_TEXT, description="`next_page` of the reply before."),
        *_whose(dimensions),
    )


def exported_usage(dimensions: Sequence[str]) -> tuple[QueryParameter, ...]:
    """Of sums over a span of time, as a file."""
    return (*_span(list(WIDTHS)), FORMAT, *_whose(dimensions))


def _span(widths: list[str]) -> tuple[QueryParameter, ...]:
    return (
        QueryParameter(name="start_time", schema=_WHOLE, description="Seconds since the epoch.", is_required=True),
        QueryParameter(name="end_time", schema=_WHOLE, description="Its end, excluded; without it, now."),
        QueryParameter(
            name="bucket_width",
            schema={"type": "string", "enum": widths, "default": "1d"},
            description="How wide a bucket is.",
        ),
    )


def _whose(dimensions: Sequence[str]) -> tuple[QueryParameter, ...]:
    return (
        _texts("project_ids", "Only what these used."),
        _texts("user_ids", "Only what these used."),
        _texts("api_key_ids", "Only what these used."),
        _texts("models", "Only what these were used for."),
        QueryParameter(
            name="group_by",
            schema={"type": "array", "items": {"type": "string", "enum": list(dimensions)}},
            description="One result for each of these; without it, one for all.",
        ),
    )
