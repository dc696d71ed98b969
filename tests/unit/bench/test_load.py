"""The bench's load counts what came back, in whatever pieces it came."""

import asyncio

import pytest

from bench.client import Client
from bench.load import ClosedLoop, Load, OpenLoop

STREAM = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b'2a\r\ndata: {"choices":[{"text":"","index":0}]}\n\n\r\n'
    b'2d\r\ndata: {"choices":[{"text":"one","index":0}]}\n\n\r\n'
    b'31\r\ndata: {"usage":{"completion_tokens": 7},"x":1}\n\n\r\n'
    b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)
WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n{"usage":{"completion_tokens":3}}'


class Wire(asyncio.Transport):
    """A transport that keeps what was written and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.is_closed = True


def connected(num_requests: int, *, keeps_connections: bool = True) -> tuple[ClosedLoop, Client, Wire]:
    load = Load(address=1, requests=["A", "B"], num_clients=1, num_requests=num_requests)
    driver, wire = ClosedLoop(load), Wire()
    client = Client(driver, keeps_connection=keeps_connections)
    client.connection_made(wire)
    return driver, client, wire


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_stream_is_counted_in_whatever_pieces_it_comes(size: int) -> None:
    driver, client, _ = connected(1)
    for start in range(0, len(STREAM), size):
        client.data_received(STREAM[start : start + size])
    assert (driver.outcome.num_replies, driver.outcome.num_events, driver.outcome.output_tokens) == (1, 3, 7)
    assert driver.finished.done()


async def test_the_first_token_is_the_first_event_with_text() -> None:
    driver, client, _ = connected(1)
    opening, rest = STREAM[:90], STREAM[90:]
    client.data_received(opening)
    client.data_received(rest)
    [ttft], [whole] = driver.outcome.ttft_seconds, driver.outcome.reply_seconds
    assert 0 < ttft <= whole


async def test_a_reply_is_followed_by_the_next_request_on_the_same_connection() -> None:
    driver, client, wire = connected(3)
    for _ in range(3):
        client.data_received(WHOLE)
    assert wire.written == [b"A", b"B", b"A"]
    assert (driver.outcome.num_replies, driver.outcome.output_tokens) == (3, 9)
    assert wire.is_closed
    assert client.is_done


async def test_a_connection_that_is_not_kept_ends_with_its_reply() -> None:
    driver, client, wire = connected(2, keeps_connections=False)
    client.data_received(WHOLE)
    assert (wire.written, wire.is_closed, client.is_done) == ([b"A"], True, False)
    assert not driver.finished.done()


async def test_a_refusal_ends_the_load_with_what_was_said() -> None:
    driver, client, _ = connected(2)
    client.data_received(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")
    with pytest.raises(RuntimeError, match="503 Service Unavailable"):
        await driver.finished


async def test_a_reply_that_breaks_off_ends_the_load() -> None:
    driver, client, _ = connected(1)
    client.data_received(STREAM[:80])
    client.connection_lost(None)
    with pytest.raises(RuntimeError, match="in the middle of a reply"):
        await driver.finished


async def test_requests_at_a_steady_rate_are_timed_from_when_they_were_due() -> None:
    load = Load(address=1, requests=["A"], num_clients=1, num_requests=3, rate=100.0)
    driver, wire = OpenLoop(load, 100.0), Wire()
    client = Client(driver, keeps_connection=True)
    client.connection_made(wire)
    assert wire.written == [b"A"]
    # The others fall due after 10 and 20 ms, while the only client waits for its first reply.
    async with asyncio.timeout(60):
        while len(driver._late) < 2:
            await asyncio.sleep(0.001)
    assert wire.written == [b"A"]
    for _ in range(3):
        client.data_received(WHOLE)
    await driver.finished
    assert wire.written == [b"A"] * 3
    first, second, third = driver.outcome.reply_seconds
    # Timed from when they were sent, the others would have had their replies at once.
    assert first > second > third > 0
    assert first >= 0.02
    assert second >= 0.01
    assert wire.is_closed
