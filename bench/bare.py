"""The peer at the edge: a bare Starlette application on granian that answers every request itself.

Started as `python -m bench.bare PORT`. It reads and checks the same body as Parley does, and writes replies of the same size,
but knows no keys, no models, no limits and no records.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

NUM_CHUNKS = 50
CHUNK = (
    b'data: {"id":"chatcmpl-0000000000000000000000","object":"chat.completion.chunk","created":1677628800,"model":"echo",'
    b'"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n'
)
REPLY = {
    "id": "chatcmpl-0000000000000000000000",
    "object": "chat.completion",
    "created": 1677628800,
    "model": "echo",
    "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
    "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop", "index": 0}],
}


class Message(msgspec.Struct, forbid_unknown_fields=True):
    role: str
    content: str


class Body(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    messages: list[Message]
    stream: bool = False


async def chat(request: Request) -> Response:
    body = msgspec.json.decode(await request.body(), type=Body)
    if body.stream:
        return StreamingResponse(_chunks(), media_type="text/event-stream")
    return Response(msgspec.json.encode(REPLY), media_type="application/json")


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(NUM_CHUNKS):
        yield CHUNK
    yield b"data: [DONE]\n\n"


async def serve(port: int) -> None:
    server = Server(
        Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])]),
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.serve()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
