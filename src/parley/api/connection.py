"""One client's connection: finds the requests in its bytes, and has them answered one at a time, in their order.

httptools reads the bytes (llhttp, the parser of Node.js, at its strictest). What it refuses, and a head that is too large,
goes to the application as a request that has a refusal in its state: so the client gets an error of ours, and the log its line.
"""

import asyncio
from collections import deque
from typing import Any, Protocol, cast
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Scope

from parley.api.exchange import Exchange
from parley.core.errors import InvalidRequest, ParleyError, RequestTooLarge

# Where the guard finds, in a request's state, why it is none.
REFUSAL = "refusal"
# Where it finds a question: whether the whole body is here.
BODY_IS_HERE = "body_is_here"
# A head that is whole is measured by the guard; one that is not is given up where the guard would refuse it for certain.
_MAX_HEAD_BYTES = 80 * 1024
_MAX_URL_BYTES = 8 * 1024
# More than the guard lets pass.
_MAX_KEPT_HEADERS = 256
# Requests that one read may bring ahead of their turn. No client of OpenAI's sends any.
_MAX_WAITING = 16
# What a client may have to take before a send waits for it.
_WRITE_AHEAD_BYTES = 64 * 1024
# So long a client may take nothing of what was written, beyond what the kernel holds.
_STALL_SECONDS = 30.0
# So long a client that is still sending is read from after its last reply. To close at once would reset the connection,
# and take from the client what it has not read yet.
_LINGER_SECONDS = 2.0


class Host(Protocol):
    """What a connection needs of the server that it belongs to."""

    @property
    def app(self) -> ASGIApp: ...

    @property
    def head_seconds(self) -> float:
        """How long a head may take to arrive."""
        ...

    @property
    def idle_seconds(self) -> float:
        """How long a connection is kept for its next request."""
        ...

    @property
    def is_stopping(self) -> bool:
        """Whether no connection is kept any more."""
        ...

    @property
    def date(self) -> bytes:
        """The header line that says when a reply was made."""
        ...

    def admit(self, address: str) -> bool:
        """Count a connection from this address. False: there are too many."""
        ...

    def add(self, connection: "Connection") -> None: ...

    def forget(self, connection: "Connection", address: str) -> None:
        """The connection is closed, and nothing runs for it."""
        ...


class Connection(asyncio.Protocol):
    """Made for each connection that is accepted. The host ends those whose `deadline`, in the loop's time, is over."""

    __slots__ = (
        "_client",
        "_current",
        "_drained",
        "_has_body_come",
        "_has_left",
        "_headers",
        "_host",
        "_incoming",
        "_is_deaf",
        "_is_held",
        "_is_in_head",
        "_loop",
        "_num_head_bytes",
        "_num_unsent",
        "_parser",
        "_server",
        "_task",
        "_transport",
        "_url",
        "_waiting",
        "deadline",
        "is_full",
    )

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._client = self._server = ("", 0)
        self._parser: httptools.HttpRequestParser | None = None
        # The request that is being read, the one that is being answered, and those between.
        self._incoming: Exchange | None = None
        self._current: Exchange | None = None
        self._waiting: deque[Exchange] | None = None
        # The loop alone would let it be collected.
        self._task: asyncio.Task[None] | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_in_head = False
        # Of a head that is not complete; of a body, what came since its last byte, as trailers do.
        self._num_head_bytes = 0
        self._has_body_come = False
        # Whether nothing more is read as a request, whether nothing more can come, whether reading pauses.
        self._is_deaf = False
        self._has_left = False
        self._is_held = False
        self.is_full = False
        self._drained: asyncio.Future[None] | None = None
        # What the client had still to take when a deadline passed.
        self._num_unsent = 0
        self.deadline: float | None = None

    # The loop tells of the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's has all of one, and is none by its class.
        transport = self._transport = cast("asyncio.Transport", transport)
        self._client = _address(transport.get_extra_info("peername"))
        if not self._host.admit(self._client[0]):
            self._is_deaf = True
            transport.abort()
            return
        self._host.add(self)
        self._server = _address(transport.get_extra_info("sockname"))
        transport.set_write_buffer_limits(high=_WRITE_AHEAD_BYTES)
        self._parser = httptools.HttpRequestParser(self)
        self.deadline = self._loop.time() + self._host.head_seconds

    def data_received(self, data: bytes) -> None:
        if (self._is_deaf and not self._is_body_due()) or self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            # Nobody here speaks another protocol: the request is answered as it is, and what follows is not read.
            self._is_deaf = True
            self._read_body_by_another(data[pause.args[0] :])
        except httptools.HttpParserError as error:
            self._give_up(InvalidRequest(f"The request is not framed as HTTP has it: {error}."))
        else:
            if self._is_in_head:
                self._check_unfinished_head(len(data))
            elif self._incoming is not None and not self._incoming.is_received:
                self._check_unfinished_body(len(data))

    def eof_received(self) -> bool:
        """The client closed its writing half, or all of it; which of them, nobody can tell before writing to it."""
        self._is_deaf = self._has_left = True
        if self._incoming is not None and not self._incoming.is_received:
            self._incoming.break_off()
        if self._current is None:
            return False
        self._waiting = None
        self._current.break_off()
        # A reply that is nearly done may still be written.
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name for it
        is_counted = self._parser is not None
        self._is_deaf = self._has_left = True
        self._transport = self._parser = self._incoming = self._waiting = self.deadline = None
        self.resume_writing()
        if self._current is not None:
            self._current.break_off()
        elif is_counted:
            self._host.forget(self, self._client[0])

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # The parser tells of the bytes.

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._is_in_head = True
        self._num_head_bytes = 0
        # What comes in one read with a head may be another request's.
        self._has_body_come = True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # What comes behind a body in chunks is read by nobody.
        if self._is_in_head and len(self._headers) < _MAX_KEPT_HEADERS:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        parser = self._parser
        if self._is_deaf or parser is None:
            self._incoming = None
            return
        version = parser.get_http_version()
        is_kept = parser.should_keep_alive() and not parser.should_upgrade()
        scope = self._scope(version, parser.get_method())
        exchange = Exchange(self, scope, is_kept=is_kept)
        scope["state"][BODY_IS_HERE] = exchange.has_body
        if version != "1.1" and not _is_plain_old(version, scope["headers"]):
            scope["state"][REFUSAL] = InvalidRequest("The server reads version 1.1 of HTTP, and 1.0 without chunks.")
            exchange.is_kept = False
        self._incoming = exchange
        self._queue(exchange)

    def on_body(self, body: bytes) -> None:
        self._has_body_come = True
        if self._incoming is not None:
            self._incoming.feed(body)

    def on_message_complete(self) -> None:
        if self._incoming is not None:
            self._incoming.end_body()

    # The exchange tells of its reply.

    @property
    def is_closing(self) -> bool:
        return self._host.is_stopping

    @property
    def date(self) -> bytes:
        return self._host.date

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    async def drained(self) -> None:
        while self.is_full:
            self._drained = self._loop.create_future()
            await self._drained

    def hold_reading(self) -> None:
        if not self._is_held and self._transport is not None:
            self._is_held = True
            self._transport.pause_reading()

    def go_on_reading(self) -> None:
        if self._is_held and self._transport is not None:
            self._is_held = False
            self._transport.resume_reading()

    # The host tells of its end.

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._current is not None

    def close(self) -> None:
        """Close it, once what was written is sent."""
        if self._transport is not None:
            self._transport.close()
            self.deadline = self._loop.time() + _STALL_SECONDS

    def expire(self) -> None:
        """Its deadline is over. A client that is still taking what was written has more time."""
        if self._transport is None:
            return
        before, self._num_unsent = self._num_unsent, self._transport.get_write_buffer_size()
        if self._num_unsent and self._num_unsent != before:
            self.deadline = self._loop.time() + _STALL_SECONDS
        else:
            self._transport.abort()

    def abort(self) -> None:
        """Close it at once. What runs for it hears that its client left."""
        if self._transport is not None:
            self._transport.abort()

    # From one request to the next.

    def _queue(self, exchange: Exchange) -> None:
        if self._current is None:
            self._answer(exchange)
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(exchange)
        if len(self._waiting) > 1:
            # Heads and bodies of many would pile up; what is behind them is left to the kernel.
            self.hold_reading()
        if len(self._waiting) == _MAX_WAITING:
            # The client sends what is left on another connection. This one's body is still read.
            exchange.is_kept = False
            self._is_deaf = True

    def _answer(self, exchange: Exchange) -> None:
        self._current = exchange
        self.deadline = None
        self._task = self._loop.create_task(self._run(exchange))

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._host.app(exchange.hand_over(), exchange.receive, exchange.send)
            if self.is_full:
                # Or replies would pile up here, of a client that sends and takes nothing.
                self.deadline = self._loop.time() + _STALL_SECONDS
                await self.drained()
        finally:
            self._go_on(exchange)

    def _go_on(self, last: Exchange) -> None:
        self._current = self._task = None
        if self._transport is None:
            self._host.forget(self, self._client[0])
        elif not last.is_replied:
            # A reply that broke off: what is left open tells the client so.
            self.close()
        elif not (last.is_kept and last.is_received) or self._host.is_stopping:
            self._end(last)
        elif self._waiting:
            exchange = self._waiting.popleft()
            if not self._waiting:
                self.go_on_reading()
            self._answer(exchange)
        elif self._is_deaf:
            self._end(last)
        else:
            self.go_on_reading()
            self.deadline = self._loop.time() + self._host.idle_seconds

    def _end(self, last: Exchange) -> None:
        transport = self._transport
        if transport is None:
            return
        if self._has_left or (last.is_received and not self._is_deaf):
            self.close()
            return
        self._is_deaf = True
        self._incoming = None
        self.go_on_reading()
        transport.write_eof()
        self.deadline = self._loop.time() + _LINGER_SECONDS

    def _read_body_by_another(self, rest: bytes) -> None:
        """The parser takes what is behind a head that asks for another protocol for that protocol, though it may have a body:
        the HTTP client of Java asks so with its first request, and `curl --http2` with each. `rest` is what came behind it."""
        incoming, parser = self._incoming, self._parser
        if incoming is None or parser is None or parser.get_method() == b"CONNECT":
            return
        framing = [pair for pair in self._headers if pair[0].lower() in {b"content-length", b"transfer-encoding"}]
        if not framing:
            return
        incoming.is_received = False
        self._parser = httptools.HttpRequestParser(_BodyOnly(self))
        lines = [b"POST / HTTP/1.1", *[b"%b: %b" % pair for pair in framing], b"connection: close", b"", b""]
        # That may be refused only now: of such a request, the parser looked at no transfer coding.
        self.data_received(b"\r\n".join(lines) + rest)

    def _is_body_due(self) -> bool:
        """Whether the last request that is read has more to come."""
        return self._incoming is not None and not self._incoming.is_received

    def _check_unfinished_head(self, num_bytes: int) -> None:
        if self._is_deaf:
            return
        if self._num_head_bytes == 0 and self._current is None:
            self.deadline = self._loop.time() + self._host.head_seconds
        elif self._num_head_bytes == 0:
            # How much of it belongs to the request before, nobody says.
            num_bytes = 1
        self._num_head_bytes += num_bytes
        if not self._headers and len(self._url) > _MAX_URL_BYTES:
            self._give_up(RequestTooLarge(f"The URL is longer than {_MAX_URL_BYTES} bytes.", status=414))
        elif self._num_head_bytes > _MAX_HEAD_BYTES:
            self._give_up(RequestTooLarge("The request's headers are too large.", status=431))

    def _check_unfinished_body(self, num_bytes: int) -> None:
        """Trailers and extensions of chunks are no part of a body, and the parser keeps a trailer until it is whole."""
        if self._has_body_come:
            self._has_body_come = False
            self._num_head_bytes = 0
            return
        self._num_head_bytes += num_bytes
        if self._num_head_bytes > _MAX_HEAD_BYTES:
            self._give_up(RequestTooLarge("The request's trailers are too large.", status=431))

    def _give_up(self, refusal: ParleyError) -> None:
        """Read nothing more, and say why, behind what is being answered."""
        incoming = self._incoming
        was_in_head, self._is_in_head = self._is_in_head, False
        if was_in_head or incoming is None:
            # The parser knows no version before it has read it, and a method only where it is one.
            scope = self._scope("1.1", b"GET")
            scope["state"][REFUSAL] = refusal
            exchange = Exchange(self, scope, is_kept=False)
            exchange.end_body()
            self._queue(exchange)
        elif not incoming.is_received:
            incoming.break_off()
            self._incoming = None
        # Else: bytes behind a request that was to be the last.
        self._is_deaf = True

    def _scope(self, version: str, method: bytes) -> Scope:
        url = self._url.partition(b"#")[0] if b"#" in self._url else self._url
        raw_path, _, query = url.partition(b"?")
        if not raw_path.startswith(b"/"):
            raw_path, query = _of_absolute(url)
        path = raw_path.decode("latin-1")
        state: dict[str, Any] = {}
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": method.decode("latin-1"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower(), value.strip(b" \t")) for name, value in self._headers],
            "client": self._client,
            "server": self._server,
            "state": state,
        }


class _BodyOnly:
    """Hears of a body whose head was read before."""

    def __init__(self, connection: Connection) -> None:
        self.on_body = connection.on_body
        self.on_message_complete = connection.on_message_complete


def _address(name: object) -> tuple[str, int]:
    """Of an IPv4 or IPv6 socket."""
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else ("", 0)


def _is_plain_old(version: str, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether it is a request of HTTP/1.0, which knew no chunks: a proxy of that time would not have read them."""
    return version == "1.0" and all(name != b"transfer-encoding" for name, _ in headers)


def _of_absolute(url: bytes) -> tuple[bytes, bytes]:
    """Path and query of a target that is a whole URL, as proxies get it; of anything else it is the path."""
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        return url, b""
    return parsed.path or url, parsed.query or b""
