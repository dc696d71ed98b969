"""A client that can leave rudely: raw HTTP/1.1 over a socket, and a look at the records that the server kept."""

import json
import socket
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from tests.live import LiveServer

T = TypeVar("T")

# Nothing that works takes so long, however busy the machine is.
WAIT_SECONDS = 120.0


def send(server: LiveServer, path: str, body: dict[str, Any]) -> socket.socket:
    """A connection on which this POST has been sent and nothing read."""
    payload = json.dumps(body).encode()
    connection = socket.create_connection((server.host, server.port), timeout=WAIT_SECONDS)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(head.encode() + payload)
    return connection


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    """What came until `mark` was in it. Fails when the connection ends first."""
    received = b""
    while mark not in received:
        part = connection.recv(65536)
        assert part, f"the connection ended before {mark!r}: {received[-500:]!r}"
        received += part
    return received


def read_all(connection: socket.socket) -> bytes:
    with closing(connection):
        return b"".join(iter(lambda: connection.recv(65536), b""))


def leave(connection: socket.socket, *, how: str) -> None:
    """Close with FIN or with RST."""
    if how == "RST":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def post(server: LiveServer, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A whole exchange: status and JSON."""
    reply = read_all(send(server, path, body))
    head, _, content = reply.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)


def get(server: LiveServer, path: str) -> tuple[int, dict[str, Any]]:
    """A whole exchange without a body."""
    return _bare(server, "GET", path)


def post_nothing(server: LiveServer, path: str) -> tuple[int, dict[str, Any]]:
    """A POST without a body."""
    return _bare(server, "POST", path)


def _bare(server: LiveServer, method: str, path: str) -> tuple[int, dict[str, Any]]:
    connection = socket.create_connection((server.host, server.port), timeout=WAIT_SECONDS)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\nAuthorization: Bearer {server.key}\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(head.encode())
    reply_head, _, content = read_all(connection).partition(b"\r\n\r\n")
    return int(reply_head.split()[1]), json.loads(content)


def records(server: LiveServer) -> list[dict[str, Any]]:
    """Every usage record that is durable, the oldest first."""
    return _rows(server.data / "parley.db")


def _rows(path: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM usage_records ORDER BY created_at")]


def eventually(look: Callable[[], T], wanted: Callable[[T], bool], *, seconds: float = WAIT_SECONDS) -> T:
    """What `look` sees once it is `wanted`; fails with the last look when that does not come."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if wanted(seen):
            return seen
        assert time.monotonic() < deadline, f"still {seen!r} after {seconds:.0f} s"
        time.sleep(0.02)


def data_lines(reply: bytes) -> Iterator[bytes]:
    """The payload of each server-sent event."""
    for line in reply.split(b"\n"):
        if line.startswith(b"data: "):
            yield line.removeprefix(b"data: ").rstrip(b"\r")
