"""Connections alone, with an application of the test's own behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from parley.api.connections import ConnectionRules, Connections
from parley.api.listener import open_listener
from tests.builders_edge import HANG_SECONDS, FakeEdge, connected

HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


@asynccontextmanager
async def serving(app: ASGIApp, **rules: object) -> AsyncIterator[FakeEdge]:
    """An application of the test's own behind connections alone."""
    listener = open_listener("127.0.0.1", 0)
    edge = FakeEdge(port=listener.getsockname()[1])
    connections = Connections(app, ConnectionRules(**rules))
    await connections.start(listener)
    try:
        yield edge
    finally:
        connections.abort()
        await asyncio.wait_for(connections.wait_closed(), HANG_SECONDS)


def replying(*parts: bytes, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> ASGIApp:
    """An application that reads the body and sends these parts."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for part in parts[:-1]:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": parts[-1]})

    return app


async def exchanged(edge: FakeEdge, data: bytes) -> bytes:
    """All that comes back until the server closes, which it is asked to."""
    async with connected(edge) as wire:
        await wire.send(data)
        return await wire.rest()
