"""Replies that are files: CSV or JSON lines, as the query's `format` asks."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing

from starlette.types import ASGIApp, Receive, Scope, Send

from parley.api.call import Call
from parley.api.platform.listing import choice
from parley.api.stream import STALL_SECONDS, ClientWatched
from parley.operations.exports import MEDIA_TYPES, Form, heading, lines

# So many of a file's rows are in memory as text at once.
PORTION_ROWS = 1_000
# What is sent between two looks at whether the client still may have it: a slow one gets little more after it may not.
_PIECE_BYTES = 64 << 10
Rows = Sequence[Sequence[object]]


class FileReply:
    """A file as an ASGI application. It owns `portions`: each is sent before the next one is made, and none is made for a
    client that left. A failure between two of them breaks the reply off, which its missing end tells. `check` raises where
    who asked for the file may no longer have it; it is called before each piece.
    """

    def __init__(
        self, portions: AsyncGenerator[bytes, None], headers: Mapping[str, str], check: Callable[[], object]
    ) -> None:
        self._portions = portions
        self._headers = headers
        self._check = check

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        head = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        async with ClientWatched(receive, STALL_SECONDS) as sending, aclosing(self._portions) as portions:
            # What fails before the first one is there keeps its status.
            portion = await anext(portions, None)
            await send({"type": "http.response.start", "status": 200, "headers": head})
            while portion is not None:
                for start in range(0, len(portion), _PIECE_BYTES):
                    self._check()
                    piece = portion[start : start + _PIECE_BYTES]
                    sending.begin()
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    sending.end()
                portion = await anext(portions, None)
        await send({"type": "http.response.body", "body": b""})


def file_reply(call: Call, name: str, columns: Sequence[str], portions: AsyncGenerator[Rows, None]) -> ASGIApp:
    """The rows as a file that browsers keep under `name`. Raises InvalidRequest for a format that is none."""
    form = Form(choice(call.http, "format", tuple(Form), Form.JSON_LINES))
    headers = {
        "content-type": MEDIA_TYPES[form],
        "content-disposition": f'attachment; filename="{name}.{form.value}"',
        **call.reply_headers,
    }
    return FileReply(_written(columns, portions, form), headers, call.actor)


async def _written(
    columns: Sequence[str], portions: AsyncGenerator[Rows, None], form: Form
) -> AsyncGenerator[bytes, None]:
    """The file's text, off the loop."""
    start = heading(columns, form)
    async with aclosing(portions):
        async for rows in portions:
            yield await asyncio.to_thread(_text, start, lines(columns, rows, form))
            start = ""
    # Of a file without rows.
    yield start.encode()


def _text(start: str, lines_of_file: Iterable[str]) -> bytes:
    return (start + "".join(lines_of_file)).encode()
