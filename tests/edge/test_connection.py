"""What a connection does between requests and around them: order, framing, room, deadlines. On real sockets."""

import asyncio
import gc
from email.utils import parsedate_to_datetime
from ipaddress import ip_network

import pytest
from starlette.types import Receive, Scope, Send

from parley.api.connection import Connection
from parley.api.connections import ConnectionRules, Connections
from parley.api.exchange import Exchange
from parley.api.listener import open_listener
from parley.api.request_body import RequestBody
from parley.api.request_reader import RequestReader
from tests.builders_connections import HEALTH, exchanged, replying, serving
from tests.builders_edge import HANG_SECONDS, FakeEdge, Script, ask, connected, request, running_edge


def closing(method: str = "GET", version: str = "1.1") -> bytes:
    return f"{method} / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n".encode()


async def test_a_body_that_is_whole_has_its_length():
    async with serving(replying(b"abc")) as edge:
        head, _, body = (await exchanged(edge, closing())).partition(b"\r\n\r\n")
    assert b"content-length: 3" in head
    assert b"connection: close" in head
    assert body == b"abc"


async def test_a_body_in_parts_has_chunks():
    async with serving(replying(b"abc", b"", b"defgh", b"")) as edge:
        head, _, body = (await exchanged(edge, closing())).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n"


async def test_parts_of_an_announced_length_have_no_chunks():
    async with serving(replying(b"ab", b"c", headers=((b"content-length", b"3"),))) as edge:
        head, _, body = (await exchanged(edge, closing())).partition(b"\r\n\r\n")
    assert head.count(b"content-length") == 1
    assert b"transfer-encoding" not in head
    assert body == b"abc"


async def test_http_1_0_gets_no_chunks_but_the_end_of_the_connection():
    async with serving(replying(b"abc", b"def")) as edge:
        head, _, body = (await exchanged(edge, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")).partition(
            b"\r\n\r\n"
        )
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"abcdef"


async def test_http_1_0_is_kept_where_it_asks_for_it():
    async with serving(replying(b"abc")) as edge, connected(edge) as wire:
        for _ in range(2):
            await wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            reply = await wire.reply()
            assert (reply.headers["connection"], reply.body) == ("keep-alive", b"abc")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_replies_without_a_body_end_with_their_head(method, status):
    async with serving(replying(b"", status=status)) as edge:
        received = await exchanged(edge, closing(method))
    assert received.endswith(b"\r\n\r\n")
    assert received.count(b"\r\n\r\n") == 1
    assert b"chunked" not in received


async def test_replies_say_when_they_were_made():
    async with serving(replying(b"")) as edge:
        reply = await ask(edge, closing())
    assert parsedate_to_datetime(reply.headers["date"]).utcoffset().total_seconds() == 0


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
async def test_a_header_cannot_hold_another_one(value, caplog):
    async with serving(replying(b"abc", headers=((b"x-a", value),))) as edge:
        assert await exchanged(edge, closing()) == b""
    assert "end of a line" in caplog.text


async def test_body_is_asked_for_when_it_is_read():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/edits", body=b"", Content_Length="3", Expect="100-continue"))
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await wire.send(b"abc")
        assert (await wire.reply()).status == 200
        assert edge.bodies == [b"abc"]


async def test_body_of_a_refused_request_is_not_asked_for_and_nothing_is_read_in_its_place():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/edits", body=b"", key=None, Content_Length="3", Expect="100-continue"))
        reply = await wire.reply()
        assert (reply.status, reply.headers["connection"]) == (401, "close")
        await wire.send(HEALTH)
        assert await wire.rest() == b""


async def test_http_1_0_is_not_asked_for_its_body():
    async with running_edge() as edge, connected(edge) as wire:
        head = request(path="/v1/edits", body=b"", Content_Length="3", Expect="100-continue")
        await wire.send(head.replace(b"HTTP/1.1", b"HTTP/1.0"))
        await asyncio.sleep(0.05)
        await wire.send(b"abc")
        assert (await wire.rest()).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("began", [b"", b"a"])
async def test_body_is_not_asked_for_in_the_middle_of_a_reply(began):
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if began:
            await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await receive()
        await send({"type": "http.response.body", "body": b"c"})

    async with serving(app) as edge, connected(edge) as wire:
        await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", began)
        await wire.reader.readuntil(b"ab\r\n")
        await wire.send(b"defg"[len(began) :])
        assert (await wire.rest()).startswith(b"1\r\nc\r\n0\r\n\r\n")


async def test_requests_ahead_of_their_turn_are_answered_up_to_a_number():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(*[request(path="/v1/edits", body=b"x" * number) for number in range(1, 41)])
        received = await wire.rest()
    assert received.count(b"HTTP/1.1 200 OK") == 17
    assert [len(body) for body in edge.bodies] == list(range(1, 18))
    assert received.count(b"connection: close") == 1


async def test_request_behind_the_last_one_is_not_read():
    async with running_edge() as edge:
        received = await exchanged(edge, closing().replace(b" / ", b" /health ") + HEALTH)
    assert received.count(b"HTTP/1.1 ") == 1


async def test_fault_behind_a_stream_waits_for_its_end():
    async with running_edge(script=Script(num_events=3, gap_seconds=0.05)) as edge, connected(edge) as wire:
        await wire.send(request(), b"\x00\x01\x02\r\n\r\n")
        received = await wire.rest()
    assert received.index(b"data: [DONE]") < received.index(b"HTTP/1.1 400 ")


async def test_nothing_is_read_behind_a_request_for_another_protocol():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", HEALTH)
        reply = await wire.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await wire.rest() == b""


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 3\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\nx-a: b\r\n\r\n",
        b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    ],
)
@pytest.mark.parametrize("is_in_pieces", [False, True])
async def test_body_of_a_request_for_another_protocol_is_read(body, is_in_pieces):
    async with running_edge() as edge, connected(edge) as wire:
        sent = request(path="/v1/edits", body=b"")[:-2] + UPGRADE + body + HEALTH
        for part in [sent[at : at + 1] for at in range(len(sent))] if is_in_pieces else [sent]:
            await wire.send(part)
            await asyncio.sleep(0)
        received = await wire.rest()
    assert edge.bodies == [b"abc"]
    assert received.count(b"HTTP/1.1 200 OK") == 1
    assert b"connection: close" in received


@pytest.mark.parametrize("body", [b"chunked\r\n\r\n1\r\na\r\nz\r\n", b"identity\r\n\r\n", b"\r\n\r\nabc"])
async def test_broken_body_of_a_request_for_another_protocol_is_refused(body):
    async with running_edge() as edge, connected(edge) as wire:
        sent = request(path="/v1/edits", body=b"")[:-2] + UPGRADE
        await wire.send(sent, b"Transfer-Encoding: ", body, HEALTH)
        reply = await wire.reply()
        assert (reply.status, reply.headers["connection"]) == (400, "close")
        assert await wire.rest() == b""
        assert edge.bodies == []


async def test_body_is_read_no_faster_than_it_is_wanted():
    may_read = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await may_read.wait()
        await replying(b"done")(scope, receive, send)

    size = 32 * 1024 * 1024
    async with serving(app) as edge, connected(edge) as wire:
        await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        wire.writer.write(b"x" * size)
        await asyncio.sleep(0.3)
        # The rest is the kernel's, and the client's own.
        assert wire.writer.transport.get_write_buffer_size() > size // 2
        may_read.set()
        assert (await wire.reply()).body == b"done"


async def test_application_hears_that_a_client_left_also_behind_a_body_that_it_did_not_read():
    heard = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        heard.set()

    async with serving(app) as edge:
        async with connected(edge) as wire:
            await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        await asyncio.wait_for(heard.wait(), HANG_SECONDS)


async def test_application_that_sends_to_nobody_comes_to_its_end():
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await replying(*[b"x" * 100_000] * 50)(scope, receive, send)
        ended.set()

    async with serving(app) as edge:
        async with connected(edge) as wire:
            await wire.send(HEALTH)
            wire.reset()
        await asyncio.wait_for(ended.wait(), HANG_SECONDS)


async def test_client_that_closed_its_writing_half_gets_a_reply_that_is_short():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(HEALTH)
        wire.writer.write_eof()
        assert (await wire.rest()).startswith(b"HTTP/1.1 200 ")


async def test_large_head_is_refused_before_it_is_whole():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000)
        reply = await wire.reply()
        assert (reply.status, reply.error["type"]) == (431, "invalid_request_error")
        assert await wire.rest() == b""


async def test_large_url_is_refused_before_it_is_whole_and_not_logged_whole(caplog):
    caplog.set_level("INFO")
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(b"GET /" + b"a" * 10_000)
        await asyncio.sleep(0.05)
        await wire.send(b"a" * 10_000)
        reply = await wire.reply()
        assert (reply.status, reply.error["type"]) == (414, "invalid_request_error")
        assert await wire.rest() == b""
    (line,) = [record for record in caplog.records if record.message == "request finished"]
    assert len(line.path) == 2048


async def test_connections_have_a_cap():
    async with serving(replying(b"abc"), max_connections=3) as edge:
        async with connected(edge) as first, connected(edge), connected(edge):
            await first.send(HEALTH)
            assert (await first.reply()).status == 200
            async with connected(edge) as one_more:
                assert await one_more.rest() == b""
        async with asyncio.timeout(HANG_SECONDS):
            while await exchanged(edge, closing()) == b"":
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("address", "is_refused"),
    [
        ("203.0.113.7", True),
        ("10.1.2.3", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("2001:db8::1", True),
        # As a socket that listens on both families shows them.
        ("::ffff:203.0.113.7", True),
        ("::ffff:10.1.2.3", False),
        ("::ffff:127.0.0.1", False),
        ("no address", True),
    ],
)
async def test_an_address_has_a_cap_of_its_own_unless_many_stand_behind_it(address, is_refused):
    connections = Connections(
        replying(b""), ConnectionRules(max_per_address=2, proxies=(ip_network("10.0.0.0/8"),), max_connections=100)
    )
    assert connections.admit(address)
    assert connections.admit(address)
    assert connections.admit(address) is not is_refused
    assert connections.admit("203.0.113.8")


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8::1", "2001:db8::2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8", False),
    ],
)
async def test_a_household_of_ipv6_counts_as_one_address(first, second, is_one):
    connections = Connections(replying(b""), ConnectionRules(max_per_address=1, max_connections=100))
    assert connections.admit(first)
    assert connections.admit(second) is not is_one
    connections.forget(object(), second if is_one else first)
    assert connections.admit(first)


async def test_no_connection_is_taken_once_the_server_stops():
    connections = Connections(replying(b""), ConnectionRules())
    connections.stop()
    assert not connections.admit("203.0.113.7")


async def test_connection_that_closes_makes_room_for_another_of_its_address():
    connections = Connections(replying(b""), ConnectionRules(max_per_address=1, max_connections=100))
    assert connections.admit("203.0.113.7")
    assert not connections.admit("203.0.113.7")
    connections.forget(object(), "203.0.113.7")
    assert connections.admit("203.0.113.7")


async def test_head_and_idling_have_their_own_deadlines():
    rules = ConnectionRules(head_seconds=60.0, idle_seconds=0.3)
    async with running_edge(connections=rules) as edge, connected(edge) as idle, connected(edge) as slow:
        await slow.send(HEALTH)
        await slow.reply()
        await slow.send(b"GET /hea")
        await idle.send(HEALTH)
        await idle.reply()
        assert await idle.rest() == b""
        await asyncio.sleep(0.3)
        await slow.send(b"lth HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await slow.reply()).status == 200


async def test_reply_that_takes_long_has_no_deadline():
    rules = ConnectionRules(head_seconds=0.2, idle_seconds=0.2)
    script = Script(num_events=4, gap_seconds=0.2)
    async with running_edge(connections=rules, script=script) as edge:
        assert (await ask(edge, request(path="/v1/completions"))).status == 200


async def test_url_is_decoded_and_its_fragment_dropped():
    scopes = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await replying(b"")(scope, receive, send)

    async with serving(app) as edge:
        for target in (b"/a%20b/%C3%A4?c=%20#d", b"http://x.example/a?b", b"http://x.example?c", b"*"):
            await ask(edge, b"OPTIONS %b HTTP/1.1\r\nHost: a\r\nX-A: \t b \t\r\n\r\n" % target)
    assert [(scope["path"], scope["raw_path"], scope["query_string"]) for scope in scopes] == [
        ("/a b/ä", b"/a%20b/%C3%A4", b"c=%20"),
        ("/a", b"/a", b"b"),
        ("/", b"/", b"c"),
        ("*", b"*", b""),
    ]
    assert scopes[0]["headers"] == [(b"host", b"a"), (b"x-a", b"b")]
    assert scopes[0]["client"][0] == "127.0.0.1"


async def test_trailers_are_no_headers():
    scopes = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await replying(b"")(scope, receive, send)

    async with serving(app) as edge, connected(edge) as wire:
        await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await wire.send(b"0\r\nAuthorization: b\r\n\r\n", HEALTH)
        assert [(await wire.reply()).status for _ in range(2)] == [200, 200]
    assert scopes[0]["headers"] == [(b"host", b"a"), (b"transfer-encoding", b"chunked")]


async def test_stopping_closes_what_idles_and_lets_what_runs_end():
    may_end = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await may_end.wait()
        await replying(b"abc")(scope, receive, send)

    listener = open_listener("127.0.0.1", 0)
    edge = FakeEdge(port=listener.getsockname()[1])
    connections = Connections(app, ConnectionRules())
    await connections.start(listener)
    async with connected(edge) as idle, connected(edge) as busy:
        await idle.send(HEALTH)
        await idle.reply()
        await busy.send(HEALTH.replace(b"/health", b"/slow"))
        await idle.send(HEALTH)
        await idle.reply()
        connections.stop()
        assert await idle.rest() == b""
        may_end.set()
        reply = await busy.reply()
        assert (reply.headers["connection"], reply.body) == ("close", b"abc")
        await asyncio.wait_for(connections.wait_closed(), HANG_SECONDS)
        with pytest.raises(ConnectionRefusedError):
            await ask(edge, HEALTH)


@pytest.mark.parametrize(
    "data",
    [
        HEALTH,
        request(path="/v1/edits"),
        request(),
        request(path="/v1/completions"),
        request(key="sk-wrong-wrong-wrong-wrong"),
        request(path="/v1/edits", Content_Encoding="gzip"),
        b"GET /health HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    ],
    ids=["plain", "with a body", "stream", "run", "wrong key", "refused", "no HTTP"],
)
async def test_a_request_leaves_nothing_that_only_the_collector_would_find(data):
    async with running_edge() as edge:
        gc.collect()
        gc.disable()
        try:
            await ask(edge, data)
            async with asyncio.timeout(HANG_SECONDS):
                while any(
                    isinstance(each, Exchange | RequestBody | RequestReader | Connection) for each in gc.get_objects()
                ):
                    await asyncio.sleep(0.05)
        finally:
            gc.enable()
