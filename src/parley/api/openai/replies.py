"""Replies that are not streamed, out of a Run's events: the long ones are made in a thread, so that nobody waits for them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec
from starlette.responses import Response

from parley.api.openai.schemas.chat import CreateChatCompletionResponse
from parley.api.openai.schemas.completions import CreateCompletionResponse
from parley.api.openai.schemas.edits import CreateEditResponse
from parley.core.events import Delta, RunEvent

ChoicesReply = CreateChatCompletionResponse | CreateCompletionResponse | CreateEditResponse

# Events and scored candidates that take a few milliseconds of the loop.
_MOST_PARTS_ON_LOOP = 2048


class JsonReply(Response):
    """Starlette's response to a request that was right, without its questions about what it may be of."""

    media_type = "application/json"

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Names of headers are in small letters."""
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *[(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        ]


async def reply_of(
    events: Sequence[RunEvent], to_wire: Callable[[], ChoicesReply], headers: Mapping[str, str]
) -> Response:
    """The 200 reply that `to_wire` makes of these events."""
    body = await asyncio.to_thread(_encoded, to_wire) if _is_long(events) else msgspec.json.encode(to_wire())
    return JsonReply(body, headers)


def _is_long(events: Sequence[RunEvent]) -> bool:
    if len(events) > _MOST_PARTS_ON_LOOP:
        return True
    tokens = [event.tokens for event in events if isinstance(event, Delta) and event.tokens]
    # The last token stands for all: the first of a prompt has no candidates.
    return len(events) + sum([len(scored) * (1 + len(scored[-1].top)) for scored in tokens]) > _MOST_PARTS_ON_LOOP


def _encoded(to_wire: Callable[[], ChoicesReply]) -> bytes:
    """JSON, a choice at a time: the encoder lets no other thread run, and a whole reply may have a hundred megabytes."""
    reply = to_wire()
    choices = [msgspec.Raw(msgspec.json.encode(choice)) for choice in reply.choices]
    return msgspec.json.encode(msgspec.structs.replace(reply, choices=choices))
