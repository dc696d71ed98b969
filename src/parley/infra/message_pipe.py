"""The reading end of a worker's channel: bytes come in, whole messages go out."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import cast

from parley.core.channel import LENGTHS, BrokenChannel, Header, unpack_header, unpack_lengths

OnMessage = Callable[[Header, bytes], None]


class MessagePipe(asyncio.Protocol):
    """Hands each message to who listens, in the turn of the event loop in which its last byte is read: a stream reader
    with a task behind it takes three, and a token of a single stream cost this process some seven per cent more.

    Without a listener it reads no further than the messages that `receive` is to take.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiting: deque[tuple[Header, bytes]] = deque()
        self._on_message: OnMessage | None = None
        self._transport: asyncio.ReadTransport | None = None
        self._arrived = asyncio.Event()
        # Set when nothing more will come.
        self._ended = asyncio.Event()
        self.broken: BrokenChannel | None = None

    async def receive(self) -> tuple[Header, bytes] | None:
        """The next message, while nobody listens; None when nothing more comes."""
        while not self._waiting:
            if self._ended.is_set():
                return None
            self._arrived.clear()
            self._resume()
            await self._arrived.wait()
        return self._waiting.popleft()

    def listen(self, on_message: OnMessage) -> None:
        """Hand every message to `on_message` from now on, at once those that came already."""
        self._on_message = on_message
        while self._waiting:
            on_message(*self._waiting.popleft())
        self._resume()

    async def wait_ended(self) -> None:
        """Return when nothing more will come: the other side ended, or `broken` says what it did."""
        await self._ended.wait()

    def close(self) -> None:
        """Read nothing more."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not looked at: the transports of uvloop are of no class of asyncio's.
        self._transport = cast("asyncio.ReadTransport", transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._end()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (message := self._next()) is not None:
                if self._on_message is not None:
                    self._on_message(*message)
                else:
                    self._waiting.append(message)
        except BrokenChannel as error:
            self.broken = error
            self.close()
            self._end()
            return
        if self._waiting:
            self._arrived.set()
            if self._transport is not None:
                self._transport.pause_reading()

    def _next(self) -> tuple[Header, bytes] | None:
        buffer = self._buffer
        if len(buffer) < LENGTHS.size:
            return None
        header_length, raw_length = unpack_lengths(buffer[: LENGTHS.size])
        middle = LENGTHS.size + header_length
        end = middle + raw_length
        if len(buffer) < end:
            return None
        header, raw = unpack_header(buffer[LENGTHS.size : middle]), bytes(buffer[middle:end])
        del buffer[:end]
        return header, raw

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _end(self) -> None:
        self._ended.set()
        self._arrived.set()


async def open_pipe() -> tuple[MessagePipe, int]:
    """A new pipe: its reading end, and the descriptor of its writing end, which the caller gives away and closes."""
    reading, writing = os.pipe()
    try:
        loop = asyncio.get_running_loop()
        _, pipe = await loop.connect_read_pipe(MessagePipe, os.fdopen(reading, "rb", buffering=0))
    except BaseException:
        os.close(writing)
        raise
    return pipe, writing
