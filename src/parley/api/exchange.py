"""One request of a connection and the reply to it: what ASGI calls `receive` and `send`, over bytes."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Protocol

from starlette.types import Message, Scope

# A client that sends faster than its request is read has so much kept for it, and then has to wait.
_READ_AHEAD_BYTES = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}
# RFC 9110, 6.4.1: replies that end with their head.
_WITHOUT_BODY = frozenset({*range(100, 200), 204, 304})


class Wire(Protocol):
    """What an exchange needs of its connection."""

    @property
    def is_full(self) -> bool:
        """Whether the client has still to take what was written."""
        ...

    @property
    def is_closing(self) -> bool:
        """Whether nothing is to follow this reply, whatever the client wants."""
        ...

    @property
    def date(self) -> bytes:
        """The header line that says when a reply was made."""
        ...

    def write(self, data: bytes) -> None: ...

    async def drained(self) -> None:
        """Return when there is room again, or nobody to write to."""
        ...

    def hold_reading(self) -> None: ...

    def go_on_reading(self) -> None: ...


class Exchange:
    """Fed by its connection, run by the application. A body is handed on as it comes; a reply is framed as it is sent."""

    __slots__ = (
        "_head",
        "_headers",
        "_is_asked_for",
        "_is_broken",
        "_is_chunked",
        "_is_old",
        "_is_read",
        "_is_without_body",
        "_method",
        "_num_kept",
        "_parts",
        "_scope",
        "_waiting",
        "_wire",
        "is_kept",
        "is_received",
        "is_replied",
    )

    def __init__(self, wire: Wire, scope: Scope, *, is_kept: bool) -> None:
        """`is_kept`: the client wants to send more on this connection."""
        self._wire = wire
        self._scope = scope
        self._method: str = scope["method"]
        self._is_old = scope["http_version"] == "1.0"
        self._headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        # Whether another request may follow; false once the reply says so.
        self.is_kept = is_kept
        # Whether the whole body is here; whether the application has heard of its end; whether no more of it will come.
        self.is_received = False
        self._is_read = False
        self._is_broken = False
        # Whether a client that sends its body when it is asked to was asked.
        self._is_asked_for = False
        self._parts: list[bytes] = []
        self._num_kept = 0
        self._waiting: asyncio.Future[None] | None = None
        # The reply's, until it is sent with the first part of its body.
        self._head: Message | None = None
        self._is_chunked = False
        self._is_without_body = False
        self.is_replied = False

    # What the connection tells.

    def feed(self, part: bytes) -> None:
        """More of the body."""
        self._parts.append(part)
        self._num_kept += len(part)
        if self._num_kept > _READ_AHEAD_BYTES:
            self._wire.hold_reading()
        self._wake()

    def end_body(self) -> None:
        """All of the body is here."""
        self.is_received = True
        self._wake()

    def has_body(self) -> bool:
        """Whether all of the body is here."""
        return self.is_received

    def break_off(self) -> None:
        """The client is gone, or what it sends is no HTTP any more."""
        self._is_broken = True
        self.is_kept = False
        self._wake()

    def hand_over(self) -> Scope:
        """The request, for the application, once. It leads back here, so that only the collector would find the two of them."""
        scope, self._scope = self._scope, {}
        return scope

    # What the application calls.

    async def receive(self) -> Message:
        """The next part of the body; behind its end, `http.disconnect` once the client left or has its reply.

        One task at a time may wait for it.
        """
        while True:
            if self._parts:
                body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                self._parts.clear()
                if self._num_kept > _READ_AHEAD_BYTES:
                    self._wire.go_on_reading()
                self._num_kept = 0
                self._is_read = self.is_received
                return {"type": "http.request", "body": body, "more_body": not self.is_received}
            if self.is_received and not self._is_read:
                self._is_read = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if self._is_broken or (self._is_read and self.is_replied):
                return {"type": "http.disconnect"}
            if self._awaits_continue():
                self._is_asked_for = True
                self._wire.write(_CONTINUE)
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting

    async def send(self, message: Message) -> None:
        """One part of the reply, its header names in small letters. Waits while the client has too much to take; says
        nothing where it is gone."""
        if message["type"] == "http.response.start":
            self._head = message
            return
        body: bytes = message.get("body", b"")
        is_last = not message.get("more_body", False)
        data = b""
        if self._head is not None:
            data = self._framed(self._head, len(body) if is_last else None)
            self._head = None
        if not self._is_without_body:
            if self._is_chunked:
                if body:
                    data += b"%x\r\n%b\r\n" % (len(body), body)
                if is_last:
                    data += b"0\r\n\r\n"
            else:
                data += body
        self._wire.write(data)
        if is_last:
            self.is_replied = True
            self._wake()
        elif self._wire.is_full:
            await self._wire.drained()

    def _framed(self, head: Message, num_bytes: int | None) -> bytes:
        """The reply's head, with what says where the body ends. `num_bytes`: of the body where all of it is here."""
        status: int = head["status"]
        pairs = head.get("headers", ())
        given = b"\r\n".join((_STATUS_LINES[status], *map(b": ".join, pairs), b""))
        if not given.count(b"\n") == given.count(b"\r") == len(pairs) + 1:
            raise ValueError("a header of the reply holds the end of a line, which would be another header")
        lines = [given]
        is_last = b"\nconnection: close\r\n" in given
        if is_last or self._wire.is_closing or self._awaits_continue():
            # One that was not asked for its body may send it or not: where its next request begins, nobody could say.
            self.is_kept = False
        # In the middle of a reply, nothing asks for a body.
        self._is_asked_for = True
        self._is_without_body = status in _WITHOUT_BODY or self._method == "HEAD"
        if b"\ncontent-length: " not in given and status not in _WITHOUT_BODY:
            lines += self._sizing(num_bytes)
        lines.append(self._wire.date)
        if not self.is_kept:
            if not is_last:
                lines.append(b"connection: close\r\n")
        elif self._is_old:
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _sizing(self, num_bytes: int | None) -> Sequence[bytes]:
        """The line of a head that says where the body ends, if one does."""
        if num_bytes is not None:
            return (b"content-length: %d\r\n" % num_bytes,)
        if self._is_old:
            # With the connection.
            self.is_kept = False
            return ()
        self._is_chunked = True
        return (b"transfer-encoding: chunked\r\n",)

    def _awaits_continue(self) -> bool:
        """Whether the client holds its body back until it is asked for it. Those of HTTP/1.0 know no such reply."""
        if self.is_received or self.is_replied or self._is_asked_for or self._parts or self._is_old:
            return False
        return any(name == b"expect" and value.lower() == b"100-continue" for name, value in self._headers)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
