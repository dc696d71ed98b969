"""A request's body as our edge lets it in: capped while it is read, with a deadline, and thrown away when nobody wants it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from parley.core.errors import Overloaded, RequestTooLarge

# What a form has beside its file: other fields, boundaries, heads.
UPLOAD_OVERHEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """Caps on a body. Its deadline is `grace_seconds` after the first read, and a second more for each
    `min_bytes_per_second` that came."""

    max_bytes: int = 4 * 1024 * 1024
    # What may come beyond: of a form, `max_bytes` are its file's.
    overhead_bytes: int = 0
    # Above it, a body takes room that all such bodies share.
    usual_bytes: int = 4 * 1024 * 1024
    grace_seconds: float = 10.0
    min_bytes_per_second: float = 1000.0
    # After a refusal: so long, and so much, of an unwanted body is still read, for the client to see the reply.
    discard_seconds: float = 2.0
    discard_bytes: int = 32 * 1024 * 1024


class LargeBodies:
    """The room that bodies above the usual size share: they stay in memory for as long as their requests run."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._num_bytes = 0

    def take(self, num_bytes: int) -> None:
        """Raises Overloaded where there is no room for so many more."""
        if self._num_bytes + num_bytes > self._most_bytes:
            raise Overloaded(
                "The server is overloaded: too many large requests are being worked on. Please retry after a moment."
            )
        self._num_bytes += num_bytes

    def give_back(self, num_bytes: int) -> None:
        self._num_bytes -= num_bytes


class RequestBody:
    """Stands in the place of `receive` for one request. Nothing is read before the first call. `release` it at the end."""

    def __init__(
        self,
        receive: Receive,
        headers: Headers,
        limits: BodyLimits,
        large: LargeBodies,
        *,
        is_here: Callable[[], bool],
    ) -> None:
        """`is_here`: whether the whole body has arrived, so that nothing is waited for."""
        self._receive = receive
        self._is_here = is_here
        self._limits = limits
        self._large = large
        self._num_taken = 0
        declared = headers.get("content-length", "")
        self._declared_bytes = int(declared) if declared.isdecimal() else 0
        self._num_bytes = 0
        self._first_read_at: float | None = None
        # Whether more of the body may come. Without either header there is none.
        self._is_open = self._declared_bytes > 0 or "transfer-encoding" in headers

    async def receive(self) -> Message:
        """The next message. Raises RequestTooLarge: 413 above the cap, also an announced one; 408 past the deadline; and
        Overloaded where too many large bodies are here."""
        if not self._is_open:
            return await self._receive()
        self._check_size(self._declared_bytes)
        message = await (self._receive() if self._is_here() else self._receive_in_time())
        self._count(message)
        self._check_size(self._num_bytes)
        if self._num_bytes > max(self._limits.usual_bytes, self._num_taken):
            self._large.take(self._num_bytes - self._num_taken)
            self._num_taken = self._num_bytes
        return message

    async def _receive_in_time(self) -> Message:
        try:
            async with asyncio.timeout_at(self._deadline()):
                return await self._receive()
        except TimeoutError:
            self._is_open = False
            raise RequestTooLarge(
                "Your request's body arrived too slowly. Please send it again.", status=408, code="request_timeout"
            ) from None

    def release(self) -> None:
        """The request is over, and with it what it held."""
        self._large.give_back(self._num_taken)
        self._num_taken = 0

    async def discard_rest(self) -> None:
        """Read what the client still sends, within the limits.

        The server closes a connection whose body was not read, and a kernel answers data that arrives after that with
        a reset, which takes the reply from a client that is still writing (seen: 3 MB sent, "broken pipe", no 413).
        """
        if not self._is_open:
            return
        most = self._num_bytes + self._limits.discard_bytes
        try:
            async with asyncio.timeout(self._limits.discard_seconds):
                while self._is_open and self._num_bytes < most:
                    self._count(await self._receive())
        except TimeoutError:
            return

    def _count(self, message: Message) -> None:
        self._num_bytes += len(message.get("body", b""))
        self._is_open = message["type"] == "http.request" and message.get("more_body", False)

    def _check_size(self, num_bytes: int) -> None:
        most = self._limits.max_bytes
        if num_bytes > most + self._limits.overhead_bytes:
            raise RequestTooLarge(f"Maximum content size limit ({most}) exceeded ({num_bytes} bytes read)", status=413)

    def _deadline(self) -> float:
        if self._first_read_at is None:
            self._first_read_at = asyncio.get_running_loop().time()
        return self._first_read_at + self._limits.grace_seconds + self._num_bytes / self._limits.min_bytes_per_second
