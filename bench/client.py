"""One client of the load: a connection that sends a request, takes its whole reply, and asks for the next."""

import asyncio
import re
import time
from typing import Protocol

# The first event that carries text; an opening event without any is not the first token.
FIRST_TEXT = re.compile(rb'"(?:text|content)": ?"[^"]')
CONTENT_LENGTH = re.compile(rb"content-length: ?(\d+)", re.IGNORECASE)


class Driver(Protocol):
    """What says when a client sends, and takes what came back. Times are seconds of `time.perf_counter`."""

    def is_ready(self, client: "Client") -> None:
        """The client can send: call its `send` now or later, or `finish` it."""
        ...

    def take(self, body: bytes, due: float, first: float | None) -> None:
        """A whole reply to a request that was due then; `first` is when the first text of it came."""
        ...

    def fail(self, reason: str) -> None:
        """The measurement is worth nothing: a refusal or a broken connection."""
        ...


class Client(asyncio.Protocol):
    def __init__(self, driver: Driver, *, keeps_connection: bool) -> None:
        self._driver = driver
        self._keeps_connection = keeps_connection
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        # Where the body starts, and where it ends if its length was announced; None until the head is complete.
        self._body: int | None = None
        self._end: int | None = None
        self._due = 0.0
        self._first: float | None = None
        self._is_waiting = False
        self.is_done = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._driver.is_ready(self)

    def send(self, request: bytes, due: float) -> None:
        """Send a request. `due` is when it should have gone out, which is what its reply is timed from."""
        assert self._transport is not None
        self._received.clear()
        self._body = self._end = self._first = None
        self._is_waiting = True
        self._due = due
        self._transport.write(request)

    def finish(self) -> None:
        """Nothing more to send."""
        self.is_done = True
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._body is None:
            self._read_head()
        if self._first is None and FIRST_TEXT.search(data):
            self._first = time.perf_counter()
        if self._is_complete():
            self._take_reply()

    def _read_head(self) -> None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        self._body = end + 4
        length = CONTENT_LENGTH.search(self._received, 0, end)
        if length is not None:
            self._end = self._body + int(length[1])

    def _is_complete(self) -> bool:
        if self._end is not None:
            return len(self._received) >= self._end
        return self._body is not None and self._received.endswith(b"\r\n0\r\n\r\n")

    def _take_reply(self) -> None:
        self._is_waiting = False
        if not self._received.startswith(b"HTTP/1.1 200"):
            self._driver.fail(bytes(self._received[:600]).decode(errors="replace"))
            return
        self._driver.take(bytes(self._received[self._body :]), self._due, self._first)
        if self._keeps_connection:
            self._driver.is_ready(self)
        else:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_waiting:
            self._driver.fail(f"the server closed a connection in the middle of a reply: {exc}")
        if not self.closed.done():
            self.closed.set_result(None)
