"""The faults of connections, row by row: heads and bodies that trickle, heads without end, connections that idle. See `process_rows`."""

import asyncio
import contextlib
import http.client
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.faults.process_rows import Figure, Scale, at_most, exactly, resident_bytes, within
from tests.live import LiveServer, running_server

_MIB = 1 << 20
# Nobody waits for longer, here.
_HANG_SECONDS = 120.0
_HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def d5(folder: Path, scale: Scale) -> list[Figure]:
    """Heads of which a byte comes each second, on many connections, with healthy requests beside them."""
    num_slow = scale.pick(200, 10_000)
    with running_server(folder) as server, healthy_requests(server) as seconds:
        before = resident_bytes(server.process.pid)
        wires = await opened(server, num_slow)
        begin = time.monotonic()
        for _, writer in wires:
            writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        grown = resident_bytes(server.process.pid) - before
        num_closed = await trickled(wires)
        lasted = time.monotonic() - begin
    return [
        exactly("D5", "slow heads that were closed", num_slow, num_closed),
        within("D5", f"until the last of {num_slow:,} was closed", 15.0, lasted),
        at_most(
            "D5", "99th percentile of healthy requests beside them", 100.0, _p99(seconds) * 1000, " ms", is_timing=True
        ),
        at_most("D5", "more memory, with all of them open", 100.0, grown / _MIB, " MiB"),
    ]


async def d6(folder: Path, scale: Scale) -> list[Figure]:
    """Uploads of which a byte comes each second."""
    num_slow = scale.pick(20, 500)
    head = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 25000000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
    )
    with running_server(folder) as server:
        wires = await opened(server, num_slow)
        begin = time.monotonic()
        for _, writer in wires:
            writer.write(head.format(key=server.key).encode())
        num_closed = await trickled(wires)
        lasted = time.monotonic() - begin
        left = [path for path in (server.data / "uploads").rglob("*") if path.is_file()]
    return [
        exactly("D6", "slow uploads that were ended", num_slow, num_closed),
        within("D6", f"until the last of {num_slow} was ended", 30.0, lasted),
        exactly("D6", "files that they left", 0, len(left)),
    ]


async def d7(folder: Path, scale: Scale) -> list[Figure]:
    """A head of 200 MiB, one of 100,000 fields, and a URL of 200 MiB."""
    num_bytes = scale.pick(4, 200) * _MIB
    heads = {
        "a field without end": [b"GET /health HTTP/1.1\r\nHost: a\r\nX: ", *[b"a" * _MIB] * (num_bytes // _MIB)],
        "fields without end": [b"GET /health HTTP/1.1\r\nHost: a\r\n", *[b"X-A: b\r\n" * 1000] * 100],
        "a URL without end": [b"GET /", *[b"a" * _MIB] * (num_bytes // _MIB)],
    }
    figures = []
    with running_server(folder) as server:
        # What the first requests need for good is no head's.
        await answered(server, [_HEALTH])
        for name, parts in heads.items():
            before = resident_bytes(server.process.pid)
            status = await answered(server, parts)
            grown = resident_bytes(server.process.pid) - before
            wanted = 414 if "URL" in name else 431
            figures.append(exactly("D7", f"reply to {name}", wanted, status))
            figures.append(at_most("D7", f"more memory for {name}", 2.0, grown / _MIB, " MiB"))
    return figures


async def d11(folder: Path, scale: Scale) -> list[Figure]:
    """Connections that are kept for nothing."""
    num_idle = scale.pick(200, 5_000)
    with running_server(folder) as server:
        wires = await opened(server, num_idle)
        begin = time.monotonic()
        for _, writer in wires:
            writer.write(_HEALTH)
        async with asyncio.timeout(_HANG_SECONDS):
            replies = [await reader.read() for reader, _ in wires]
        lasted = time.monotonic() - begin
        for _, writer in wires:
            writer.close()
    num_answered = sum(reply.startswith(b"HTTP/1.1 200 ") for reply in replies)
    return [
        exactly("D11", "requests that were answered before", num_idle, num_answered),
        within("D11", f"until the last of {num_idle:,} idle connections was closed", 10.0, lasted),
    ]


async def opened(server: LiveServer, count: int) -> list[Wire]:
    """So many connections."""
    return [await asyncio.open_connection(server.host, server.port) for _ in range(count)]


async def trickled(wires: list[Wire]) -> int:
    """Send a byte a second on each until the server closed them all; how many it did."""
    ends = [asyncio.ensure_future(_end_of(reader)) for reader, _ in wires]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_HANG_SECONDS):
            while not all(end.done() for end in ends):
                for end, (_, writer) in zip(ends, wires, strict=True):
                    if not end.done():
                        writer.write(b"a")
                await asyncio.sleep(1.0)
    num_closed = sum(end.done() for end in ends)
    for end, (_, writer) in zip(ends, wires, strict=True):
        end.cancel()
        writer.close()
    return num_closed


async def _end_of(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(65_536):
            pass


async def answered(server: LiveServer, parts: list[bytes]) -> int:
    """The status that comes back, by a client that writes on whatever comes."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        status = asyncio.ensure_future(reader.readline())
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
        async with asyncio.timeout(_HANG_SECONDS):
            return int((await status).split()[1])
    finally:
        writer.close()


@contextmanager
def healthy_requests(server: LiveServer) -> Iterator[list[float]]:
    """A client that asks twenty times a second, each time on a new connection; how long each answer took, in seconds."""
    seconds: list[float] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.wait(0.05):
            begin = time.monotonic()
            with closing(http.client.HTTPConnection(server.host, server.port, timeout=_HANG_SECONDS)) as connection:
                connection.request("GET", "/health")
                assert connection.getresponse().status == 200
            seconds.append(time.monotonic() - begin)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seconds
    finally:
        is_over.set()
        thread.join()


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]
