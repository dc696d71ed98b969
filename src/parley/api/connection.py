"""One client's connection: has its requests answered one at a time, in their order, and decides when it ends."""

import asyncio
import select
from collections import deque
from typing import Protocol, cast

from starlette.types import ASGIApp

from parley.api.exchange import Exchange
from parley.api.request_reader import Address, RequestReader

# Requests that one read may bring ahead of their turn. No client of OpenAI's sends any.
_MAX_WAITING = 16
# What a client may have to take before a send waits for it.
_WRITE_AHEAD_BYTES = 64 * 1024
# So long a client may take nothing of what was written, beyond what the kernel holds.
_STALL_SECONDS = 30.0
# So long a client that is still sending is read from after its last reply. To close at once would reset the connection,
# and take from the client what it has not read yet.
_LINGER_SECONDS = 2.0
# Where the kernel tells of a half that was closed (Linux) that is asked for, too; of the end of both it tells in any case.
_LEFT = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


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
        "_has_left",
        "_host",
        "_loop",
        "_num_unsent",
        "_reader",
        "_task",
        "_transport",
        "_waiting",
        "deadline",
        "is_full",
        "is_held",
    )

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._client: Address = ("", 0)
        # None: the connection was not let in, or is lost.
        self._reader: RequestReader | None = None
        # The request that is being answered, and those behind it.
        self._current: Exchange | None = None
        self._waiting: deque[Exchange] | None = None
        # The loop alone would let it be collected.
        self._task: asyncio.Task[None] | None = None
        # Whether nothing more can come.
        self._has_left = False
        # Whether reading pauses, and whether writing has to.
        self.is_held = False
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
            transport.abort()
            return
        self._host.add(self)
        transport.set_write_buffer_limits(high=_WRITE_AHEAD_BYTES)
        server = _address(transport.get_extra_info("sockname"))
        self._reader = RequestReader(self, self._client, server, self._queue)
        self.deadline = self._loop.time() + self._host.head_seconds

    def data_received(self, data: bytes) -> None:
        if self._reader is not None and self._reader.feed(data, is_alone=self._current is None):
            self.deadline = self._loop.time() + self._host.head_seconds

    def eof_received(self) -> bool:
        """The client closed its writing half, or all of it; which of them, nobody can tell before writing to it."""
        if self._reader is not None:
            self._reader.end()
        self._leave()
        # A reply that is nearly done may still be written.
        return self._current is not None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name for it
        was_let_in = self._reader is not None
        if self._reader is not None:
            self._reader.release()
        self._has_left = True
        self._transport = self._reader = self._waiting = self.deadline = None
        self.resume_writing()
        if self._current is not None:
            self._current.break_off()
        elif was_let_in:
            self._host.forget(self, self._client[0])

    def look(self) -> None:
        """See whether the client left: while reading pauses, its end is hidden behind what it sent."""
        transport = self._transport
        if not self.is_held or self._current is None or self._has_left or transport is None or transport.is_closing():
            return
        poll = select.poll()
        poll.register(transport.get_extra_info("socket").fileno(), _LEFT)
        if poll.poll(0):
            self._leave()

    def _leave(self) -> None:
        self._has_left = True
        self._waiting = None
        if self._current is not None:
            self._current.break_off()

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

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
        if not self.is_held and self._transport is not None:
            self.is_held = True
            self._transport.pause_reading()

    def go_on_reading(self) -> None:
        # Nobody waits any more for what one that left sent before.
        if self.is_held and self._transport is not None and not self._has_left:
            self.is_held = False
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
        if len(self._waiting) == _MAX_WAITING and self._reader is not None:
            # The client sends what is left on another connection. This one's body is still read.
            exchange.is_kept = False
            self._reader.is_deaf = True

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
        if self._transport is None or self._reader is None:
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
        elif self._reader.is_deaf:
            self._end(last)
        else:
            self.go_on_reading()
            self.deadline = self._loop.time() + self._host.idle_seconds

    def _end(self, last: Exchange) -> None:
        transport, reader = self._transport, self._reader
        if transport is None or reader is None:
            return
        if self._has_left or (last.is_received and not reader.is_deaf):
            self.close()
            return
        reader.turn_away()
        self.go_on_reading()
        transport.write_eof()
        self.deadline = self._loop.time() + _LINGER_SECONDS


def _address(name: object) -> tuple[str, int]:
    """Of an IPv4 or IPv6 socket."""
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else ("", 0)
