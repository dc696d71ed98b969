"""Endpoints that OpenAI retired in 2022: they answer 404 with what to use in their place."""

from collections.abc import Mapping
from types import MappingProxyType

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.core.errors import NotFound

# The last word of the path -> what does the same today.
_INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "search": "Rank documents by their similarity to the query, with /v1/embeddings.",
        "answers": "Put the documents into the conversation, with /v1/chat/completions.",
        "classifications": "Name the labels in the conversation, with /v1/chat/completions.",
    }
)


async def refuse(call: Call) -> ASGIApp:
    """Retired: says what to use instead."""
    name = call.http.url.path.rstrip("/").rpartition("/")[2]
    raise NotFound(
        f"The {name} endpoint was retired on December 3, 2022. {_INSTEAD.get(name, '')}".rstrip(),
        code="endpoint_retired",
    )
