"""What the edge refuses before a route sees it: sizes, deadlines, codings, hosts. On real sockets."""

import asyncio
import time

import pytest

from parley.api.connections import ConnectionRules
from parley.api.guard import GuardLimits
from parley.api.request_body import BodyLimits
from parley.api.stack import EdgeRules
from tests.builders_edge import HANG_SECONDS, QUICK, FakeEdge, Script, ask, connected, request, running_edge

CAP = 4 * 1024 * 1024


async def test_body_above_the_cap_is_refused_by_its_announced_length():
    async with running_edge() as edge, connected(edge) as wire:
        head = request(path="/v1/edits", body=b"", Content_Length=str(CAP + 1))
        await wire.send(head)
        reply = await wire.reply()
        assert reply.status == 413
        assert reply.error == {
            "message": f"Maximum content size limit ({CAP}) exceeded ({CAP + 1} bytes read)",
            "type": "server_error",
            "param": None,
            "code": None,
        }
        assert not edge.bodies


async def test_chunked_body_is_cut_where_it_passes_the_cap():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/edits", body=b"", Transfer_Encoding="chunked"))
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        for _ in range(CAP // 65_536 + 1):
            await wire.send(chunk)
        reply = await wire.reply()
        assert reply.status == 413
        assert not edge.bodies


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/chat/completions/"])
async def test_a_chat_alone_may_be_larger(path):
    rules = EdgeRules(limits=GuardLimits(max_chat_bytes=CAP + 100))
    async with running_edge(rules=rules) as edge, connected(edge) as wire:
        reply = await ask(edge, request(path=path, body=b"x" * (CAP + 100)))
        assert (reply.status, len(edge.bodies[0])) == (200, CAP + 100)
        await wire.send(request(path=path, body=b"", Content_Length=str(CAP + 101)))
        assert (await wire.reply()).status == 413


async def test_large_bodies_share_a_room_for_as_long_as_their_requests_run():
    rules = EdgeRules(limits=GuardLimits(max_chat_bytes=2 * CAP, large_bytes=2 * CAP + 100))
    large = request(body=b"x" * (CAP + 100))
    steps = asyncio.Semaphore(1)
    async with running_edge(rules=rules, script=Script(steps=steps)) as edge, connected(edge) as first:
        await first.send(large)
        await first.reader.readuntil(b"\r\n\r\n")
        # One that is no larger than usual needs none of the room.
        assert (await ask(edge, request(path="/v1/edits", body=b"x" * CAP))).status == 200
        refused = await ask(edge, large)
        assert refused.status == 503
        assert "too many large requests" in refused.error["message"]
        for _ in range(10):
            steps.release()
        await edge.last_run.is_closed.wait()
        async with asyncio.timeout(HANG_SECONDS):
            while (await ask(edge, large)).status == 503:
                pass


async def test_body_at_the_cap_is_taken():
    async with running_edge() as edge:
        reply = await ask(edge, request(path="/v1/edits", body=b"x" * CAP))
        assert reply.status == 200
        assert len(edge.bodies[0]) == CAP


async def test_client_that_is_still_sending_gets_to_see_its_refusal():
    """Closing at once would reset the connection under a client that writes, and take the reply with it."""
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/edits", body=b"", key="sk-wrong-wrong-wrong-wrong", Content_Length="3000000"))
        for _ in range(30):
            await wire.send(b"x" * 100_000)
            await asyncio.sleep(0.005)
        assert (await wire.reply()).status == 401


async def test_body_slower_than_the_least_rate_is_refused_and_the_connection_closed():
    """The client would go on for hours."""
    async with running_edge() as edge, connected(edge) as wire:
        started = time.monotonic()
        await wire.send(request(path="/v1/edits", body=b"", Content_Length="2000000"))
        reply = asyncio.ensure_future(wire.reply())
        while not reply.done():
            await wire.send(b"x" * 10)
            await asyncio.sleep(0.1)
        assert (await reply).status == 408
        assert (await reply).error["code"] == "request_timeout"
        assert time.monotonic() - started >= QUICK.limits.body.grace_seconds
        assert await wire.reader.read() == b""


async def test_body_that_keeps_the_least_rate_may_take_longer_than_the_grace():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/edits", body=b"", Content_Length="8000"))
        for _ in range(8):
            await wire.send(b"x" * 1000)
            await asyncio.sleep(0.15)
        assert (await wire.reply()).status == 200


async def test_half_sent_heads_do_not_keep_others_waiting():
    async with running_edge(connections=ConnectionRules(head_seconds=60.0)) as edge:
        halves = await half_sent(edge, 200)
        assert (await ask(edge, request("GET", "/health"))).status == 200
        for _, writer in halves:
            writer.close()


async def test_half_sent_heads_are_closed_at_the_deadline():
    async with running_edge() as edge:
        started = time.monotonic()
        halves = await half_sent(edge, 200)
        async with asyncio.timeout(HANG_SECONDS):
            ends = [await reader.read() for reader, _ in halves]
        assert ends == [b""] * 200
        assert time.monotonic() - started >= 1.0
        for _, writer in halves:
            writer.close()


async def test_d11_idle_connections_are_closed_at_the_same_deadline():
    async with running_edge() as edge:
        idle = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(100)]
        for _, writer in idle:
            writer.write(request("GET", "/health"))
        async with asyncio.timeout(HANG_SECONDS):
            replies = [await reader.read() for reader, _ in idle]
        assert all(reply.startswith(b"HTTP/1.1 200") for reply in replies)
        for _, writer in idle:
            writer.close()


async def half_sent(edge: FakeEdge, count: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connections on which a head began."""
    halves = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(count)]
    for _, writer in halves:
        writer.write(b"GET /health HTTP/1.1\r\nHos")
    return halves


async def test_head_that_trickles_in_is_closed_at_the_same_deadline():
    """The client would go on for ever."""
    async with running_edge() as edge:
        started = time.monotonic()
        async with connected(edge) as wire:
            await wire.send(b"GET /health HTTP/1.1\r\nX: ")
            ended = asyncio.ensure_future(wire.rest())
            while not ended.done():
                wire.writer.write(b"a")
                await asyncio.sleep(0.1)
            assert await ended == b""
        assert time.monotonic() - started >= 1.0


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([f"X-{number}: a" for number in range(98)], 200),
        ([f"X-{number}: a" for number in range(99)], 431),
        (["X: " + "a" * 60_000], 200),
        (["X: " + "a" * 66_000], 431),
        ([f"X-{number}: {'a' * 10_000}" for number in range(7)], 431),
        (["X: " + "a" * 3_000_000], 431),
    ],
    ids=["100", "101", "60 kB", "66 kB", "70 kB together", "3 MB"],
)
async def test_heads_are_bounded_in_number_and_size(lines, status):
    async with running_edge() as edge, connected(edge) as wire:
        data = "\r\n".join(["GET /health HTTP/1.1", "Host: a", "Accept: */*", *lines]) + "\r\n\r\n"
        wire.writer.write(data.encode())
        assert (await wire.reply()).status == status


async def test_url_above_8_kb_is_refused():
    async with running_edge() as edge:
        assert (await ask(edge, request("GET", "/health?" + "a" * 8000))).status == 200
        reply = await ask(edge, request("GET", "/health?" + "a" * 8200))
        assert reply.status == 414
        assert "8192 bytes" in reply.error["message"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"])
async def test_packed_body_is_refused_by_name(coding):
    async with running_edge() as edge:
        reply = await ask(edge, request(path="/v1/edits", Content_Encoding=coding))
        assert reply.status == 415
        assert coding.lower() in reply.error["message"]
        assert not edge.bodies


async def test_identity_is_no_packing():
    async with running_edge() as edge:
        assert (await ask(edge, request(path="/v1/edits", Content_Encoding="identity"))).status == 200


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "a/v1/models?x=",
        "evil.example/health#",
        "a b",
        "a\tb",
        "user@host",
        "[::1",
        "a:99999999",
        "a,b",
        "http://a",
        "a\\b",
        "%00",
        "a;b",
        "☃",
    ],
)
async def test_malformed_host_is_refused_on_every_route(host):
    line = b"" if host is None else b"Host: " + host.encode() + b"\r\n"
    async with running_edge() as edge:
        for path in (b"/health", b"/v1/models", b"/v1/chat/completions", b"/nothing"):
            reply = await ask(edge, b"GET " + path + b" HTTP/1.1\r\n" + line + b"\r\n")
            assert reply.status == 400


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "a.b-c_d.example", "health", "evil.example"]
)
async def test_no_host_opens_a_route(host):
    async with running_edge() as edge:
        data = f"GET /v1/models HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        assert (await ask(edge, data)).status == 401


async def test_two_hosts_are_refused():
    async with running_edge() as edge:
        assert (await ask(edge, b"GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")).status == 400


async def test_absolute_target_is_routed_by_its_path_alone():
    async with running_edge() as edge:
        data = b"GET http://evil.example/v1/models?/health HTTP/1.1\r\nHost: a\r\n\r\n"
        assert (await ask(edge, data)).status == 401


async def test_forty_slow_bodies_do_not_keep_others_waiting():
    limits = GuardLimits(body=BodyLimits(grace_seconds=60.0))
    async with running_edge(rules=EdgeRules(limits=limits)) as edge:
        slow = await slow_bodies(edge, 40)
        assert (await ask(edge, request("GET", "/v1/models"))).status == 200
        for _, writer in slow:
            writer.close()


async def test_forty_slow_bodies_are_all_refused():
    async with running_edge() as edge:
        slow = await slow_bodies(edge, 40)
        async with asyncio.timeout(HANG_SECONDS):
            ends = [await reader.read() for reader, _ in slow]
        assert all(end.startswith(b"HTTP/1.1 408 ") for end in ends)
        for _, writer in slow:
            writer.close()


async def slow_bodies(edge: FakeEdge, count: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connections on which one byte of a large body was sent."""
    wires = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(count)]
    for _, writer in wires:
        writer.write(request(path="/v1/edits", body=b"", Content_Length="100000") + b"x")
    return wires
