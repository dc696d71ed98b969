"""Heads that two parsers might read differently, on real sockets: each is refused, and nothing behind it is read."""

import pytest

from tests.builders_edge import KEY, connected, running_edge

AUTH = b"Authorization: Bearer " + KEY.encode() + b"\r\n"
POST = b"POST /v1/edits HTTP/1.1\r\nHost: a\r\n" + AUTH

REFUSED = {
    "two lengths that differ": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a length before chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length behind chunks": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "an empty length": POST + b"Content-Length: \r\n\r\nabc",
    "bare LFs for the ends of lines": b"GET /health HTTP/1.1\nHost: a\n\n",
    "one bare LF": b"GET /health HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -1\r\n\r\nabc",
    "a hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "a length with an underscore": POST + b"Content-Length: 3_0\r\n\r\nabc",
    "a length of twenty-one digits": POST + b"Content-Length: 100000000000000000003\r\n\r\nabc",
    "a folded line": POST + b"X-A: b\r\n c\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 3\r\n\r\nabc",
    "a NUL in a value": POST + b"X-A: b\x00c\r\n\r\n",
    "a bare CR in a value": POST + b"X-A: b\rc\r\n\r\n",
    "an unknown transfer coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked that is not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "gzip under chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab before chunked": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST /v1/edits HTTP/1.0\r\nHost: a\r\n"
    + AUTH
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/0.9": b"GET /health\r\n\r\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "the greeting of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version of its own": b"GET /health HTTP/1.2\r\nHost: a\r\n\r\n",
    "a field without a name": b"GET /health HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "a byte that no URL has": b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method of its own": b"BREW /health HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space in the method": b"PO ST /v1/edits HTTP/1.1\r\nHost: a\r\n\r\n",
}

# The body breaks its framing: the handler never gets it, and nothing after it is read as a request.
BROKEN_BODIES = {
    "a chunk size that is none": b"zz\r\nab\r\n0\r\n\r\n",
    "a chunk longer than it says": b"2\r\nabXX\r\n0\r\n\r\n",
    "a chunk size of 68 bits": b"fffffffffffffffff\r\nab\r\n0\r\n\r\n",
    "a negative chunk size": b"-2\r\nab\r\n0\r\n\r\n",
    "a space before a chunk size": b" 2\r\nab\r\n0\r\n\r\n",
    "a bare LF behind a chunk size": b"2\nab\r\n0\r\n\r\n",
    "a bare LF in a chunk extension": b"2;a\nb\r\nab\r\n0\r\n\r\n",
}

FOLLOWING = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("case", REFUSED)
async def test_ambiguous_head_is_answered_400_and_the_connection_closed(case):
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(REFUSED[case], FOLLOWING)
        received = await wire.rest(seconds=2)
        assert received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
        assert received.count(b"HTTP/1.") == 1
        assert wire.reader.at_eof()
        assert not edge.bodies


@pytest.mark.parametrize("case", BROKEN_BODIES)
async def test_body_with_broken_framing_reaches_no_handler(case):
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(POST, b"Transfer-Encoding: chunked\r\n\r\n", BROKEN_BODIES[case], FOLLOWING)
        received = await wire.rest(seconds=2)
        assert received.startswith(b"HTTP/1.1 400 ")
        assert b'"type":"invalid_request_error"' in received
        assert received.count(b"HTTP/1.1 ") == 1
        assert not edge.bodies


async def test_pipelined_requests_are_answered_in_order():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(POST, b"Content-Length: 3\r\n\r\nabc", POST, b"Content-Length: 4\r\n\r\nabcd")
        replies = [await wire.reply(), await wire.reply()]
        assert [reply.json()["num_bytes"] for reply in replies] == [3, 4]


async def test_upgrade_to_http2_is_not_taken():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(
            b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        )
        assert (await wire.reply()).status == 200
