"""What the OpenAPI document says of one handler."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryParameter:
    """One parameter of a query. A list comes as `name=a,b` or as `name=a&name=b`."""

    name: str
    schema: Mapping[str, Any]
    description: str
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one handler reads and answers.

    `chunk` is what each event of its stream holds, `last_chunk` the last one where that is another and stands for `[DONE]`.
    `is_form`: the request is a form. `media` are the content types of a reply that is no JSON, or of JSON that has no type
    of its own.
    """

    request: type[msgspec.Struct] | None = None
    reply: type[msgspec.Struct] | None = None
    chunk: type[msgspec.Struct] | None = None
    last_chunk: type[msgspec.Struct] | None = None
    is_form: bool = False
    query: tuple[QueryParameter, ...] = ()
    media: tuple[str, ...] = ()
    is_retired: bool = False
