"""Clients that take what they can: they send without reading, trickle, or wrap what they send in more than a body. On real sockets."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from tests.builders_connections import HEALTH, exchanged, replying, serving
from tests.builders_edge import HANG_SECONDS, EdgeRules, Script, connected, request, running_edge

LARGE = 3_000_000
HEALTH_AND_CLOSE = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@asynccontextmanager
async def slow_socket(port: int):
    """A client's socket that takes little ahead."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
        yield client


async def received_late(client: socket.socket, seconds: float) -> int:
    """How much comes until the server closes, read from then on."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(seconds)
    num_bytes = 0
    while part := await loop.sock_recv(client, 65_536):
        num_bytes += len(part)
    return num_bytes


async def test_nothing_is_answered_before_the_client_took_what_was_written():
    num_asked = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal num_asked
        num_asked += 1
        await replying(b"x" * LARGE)(scope, receive, send)

    async with serving(app) as edge, slow_socket(edge.port) as client:
        for _ in range(10):
            await asyncio.get_running_loop().sock_sendall(client, HEALTH)
            await asyncio.sleep(0.02)
        assert num_asked == 1


@pytest.mark.parametrize("end", [b"", b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: a\r\n"])
async def test_reply_that_takes_longer_than_a_connection_idles_comes_whole(end, monkeypatch):
    monkeypatch.setattr("parley.api.connection._LINGER_SECONDS", 0.2)
    async with serving(replying(b"x" * LARGE), idle_seconds=0.2) as edge, slow_socket(edge.port) as client:
        await asyncio.get_running_loop().sock_sendall(client, b"GET / HTTP/1.1\r\nHost: a\r\n" + end + b"\r\n")
        assert await received_late(client, 0.6) > LARGE


async def test_client_that_takes_nothing_of_a_reply_is_left(monkeypatch):
    monkeypatch.setattr("parley.api.connection._STALL_SECONDS", 0.2)
    async with serving(replying(b"x" * LARGE), max_connections=1) as edge, slow_socket(edge.port) as client:
        await asyncio.get_running_loop().sock_sendall(client, HEALTH)
        async with asyncio.timeout(HANG_SECONDS):
            while await exchanged(edge, HEALTH_AND_CLOSE) == b"":
                await asyncio.sleep(0.05)


async def test_last_request_that_may_wait_has_its_body_read():
    async with running_edge() as edge, connected(edge) as wire:
        small = request(path="/v1/edits", body=b"x")
        await wire.send(
            request(path="/v1/completions"), small * 15, request(path="/v1/edits", body=b"", Content_Length="3")
        )
        await asyncio.sleep(0.05)
        await wire.send(b"abc")
        received = await wire.rest()
    assert received.count(b"HTTP/1.1 200 OK") == 17
    assert edge.bodies[-1] == b"abc"


async def test_head_that_begins_behind_a_large_body_is_no_large_head():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/edits", body=b"x" * 300_000), HEALTH[:20])
        assert (await wire.reply()).status == 200
        await wire.send(HEALTH[20:])
        assert (await wire.reply()).status == 200


async def test_large_heads_ahead_of_a_body_are_no_trailers():
    async with running_edge() as edge, connected(edge) as wire:
        heads = [HEALTH[:-2] + b"x: " + b"a" * 20_000 + b"\r\n\r\n"] * 5
        await wire.send(*heads, request(path="/v1/edits", body=b"", Content_Length="3"))
        assert [(await wire.reply()).status for _ in heads] == [200] * 5
        await wire.send(b"abc")
        assert (await wire.reply()).status == 200


@pytest.mark.parametrize("endless", [b"1\r\na\r\n0\r\nX-A: ", b"1\r\na\r\n0\r\n", b"1;"])
async def test_chunks_hold_no_more_than_a_body(endless):
    async with running_edge(rules=EdgeRules()) as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/edits", body=b"", Transfer_Encoding="chunked"), endless)
        filling = b"x-a: b\r\n" if endless.endswith(b"0\r\n") else b"aaaaaaaa"
        for _ in range(100):
            wire.writer.write(filling * 1000)
        reply = await wire.reply()
    assert (reply.status, reply.headers["connection"]) == (400, "close")


async def test_body_in_chunks_is_read_however_it_is_cut():
    async with running_edge(rules=EdgeRules()) as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/edits", body=b"", Transfer_Encoding="chunked"))
        for _ in range(4):
            await wire.send(b"%x;a=b\r\n" % 200_000 + b"a" * 200_000 + b"\r\n")
            await wire.send(b"1;%b\r\na\r\n" % (b"c" * 60_000))
        await wire.send(b"0\r\nx-a: %b\r\n\r\n" % (b"d" * 60_000))
        assert (await wire.reply()).status == 200
    assert edge.bodies == [(b"a" * 200_000 + b"a") * 4]


async def test_requests_ahead_of_their_turn_are_not_piled_up():
    async with running_edge(script=Script(first_seconds=0.5)) as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/completions"))
        for number in range(1, 31):
            await wire.send(request(path="/v1/edits", body=b"x" * (1000 * number))[:-1])
            await asyncio.sleep(0.005)
            await wire.send(b"x")
        assert not edge.bodies[1:]
        replies = [await wire.reply() for _ in range(31)]
    assert [reply.status for reply in replies] == [200] * 31
    assert [len(body) for body in edge.bodies[1:]] == [1000 * number for number in range(1, 31)]


@pytest.mark.parametrize("is_reset", [False, True])
@pytest.mark.parametrize("what", ["requests", "body"])
async def test_client_that_leaves_behind_more_than_is_read_is_noticed(what, is_reset):
    """Its end is behind what it sent ahead of its turn, which nobody reads before that."""
    heard = asyncio.Event()
    num_asked = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal num_asked
        num_asked += 1
        while (await receive())["type"] != "http.disconnect":
            pass
        heard.set()

    async with serving(app) as edge:
        async with connected(edge) as wire:
            ahead = (
                [HEALTH] * 10
                if what == "requests"
                else [HEALTH, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n"]
            )
            await wire.send(HEALTH, *ahead, b"x" * 100_000 if what == "body" else b"")
            await asyncio.sleep(0.05)
            if is_reset:
                wire.reset()
        await asyncio.wait_for(heard.wait(), HANG_SECONDS)
    assert num_asked == 1
