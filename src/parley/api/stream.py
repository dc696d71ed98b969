"""Replies that own a Run: an event stream, and the draining of a Run for a plain reply. Both notice a client that left."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, nullcontext
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from parley.api.interrupt import Interruptible
from parley.api.reception import Reception, reception_of
from parley.core.errors import ParleyError
from parley.core.events import Finished
from parley.core.usage import Outcome

# A send that stands still for so long means a client that does not read. It is noticed up to a sixth later.
STALL_SECONDS = 30.0
# A client is watched from here on. A reply that is over by then needs no watcher, which is some 3 % of the cheapest one's work;
# what the client did meanwhile is told at once when the watching begins.
_UNWATCHED_SECONDS = 0.02
# How long the head of a stream waits for the first event.
HEAD_SECONDS = 1.0
# How often a stream that waits for its first event says what it waits for, in a comment that clients skip.
COMMENT_SECONDS = 1.0


# What a Run tells before its last event.
E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)


class ClientGone(Exception):
    """The client closed its connection, or stopped reading it; nobody waits for the reply."""


class OpenRun(Protocol[E_co]):
    """What a reply needs of `parley.serving.serve.Run`, or of the fake that tests hand in."""

    @property
    def progress(self) -> str | None: ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> E_co | Finished: ...

    async def aclose(self, outcome: Outcome | None = None) -> None: ...


class EventStream(Generic[E]):
    """A streamed reply as an ASGI application. It owns `run` from its construction and closes it on every way out.

    `frames` renders one event as server-sent events; b"" sends nothing. A failure is raised to the error boundary
    after the Run is closed, so that whatever was used is settled before the last byte goes out.
    """

    def __init__(
        self,
        run: OpenRun[E],
        frames: Callable[[E | Finished], bytes],
        headers: Mapping[str, str],
        *,
        stall_seconds: float = STALL_SECONDS,
        head_seconds: float = HEAD_SECONDS,
    ) -> None:
        self._run = run
        self._frames = frames
        self._headers = headers
        self._stall_seconds = stall_seconds
        self._head_seconds = head_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with ClientWatched(receive, self._stall_seconds) as sending:
                async with aclosing(self._events(send, sending)) as events:
                    async for event in events:
                        if isinstance(event, Finished):
                            reception_of(scope).interruption.let_finish()
                        frame = self._frames(event)
                        if frame:
                            sending.begin()
                            await send({"type": "http.response.body", "body": frame, "more_body": True})
                            sending.end()
        finally:
            await self._run.aclose(_outcome(reception_of(scope)))
        await send({"type": "http.response.body", "body": b""})

    async def aclose(self) -> None:
        """Close the Run of a reply that was never started. Harmless after `__call__`."""
        await self._run.aclose()

    async def _events(self, send: Send, sending: "_Sending") -> AsyncGenerator[E | Finished, None]:
        """The Run's events, with the reply's head sent before the first of them, and comments on what it waits for.

        The head waits for the first event, up to `head_seconds`: a Run that fails at once keeps its HTTP status, on
        which clients decide whether to try again.
        """
        first = asyncio.ensure_future(anext(self._run))
        try:
            await asyncio.wait({first}, timeout=self._head_seconds)
            if first.done():
                first.result()
            await send({"type": "http.response.start", "status": 200, "headers": self._head()})
            if not first.done():
                # The server sends the head with the first part of the body, so an empty part goes before a late token.
                await send({"type": "http.response.body", "body": b"", "more_body": True})
            while not first.done():
                if (progress := self._run.progress) is not None:
                    sending.begin()
                    await send({"type": "http.response.body", "body": _comment(progress), "more_body": True})
                    sending.end()
                await asyncio.wait({first}, timeout=COMMENT_SECONDS)
            yield await first
        finally:
            if not first.done():
                first.cancel()
                await asyncio.wait({first})
        async for event in self._run:
            yield event

    def _head(self) -> list[tuple[bytes, bytes]]:
        head = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache"),
            # nginx would otherwise collect the tokens in its buffer.
            (b"x-accel-buffering", b"no"),
        ]
        return head + [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]


async def collect(run: OpenRun[E], http: Request, *, is_kept: bool = False) -> list[E | Finished]:
    """All events of `run`, for a reply that is not streamed. The Run is closed on every way out.

    Raises ClientGone when the client leaves meanwhile, and whatever ends the Run. A reply that is kept is made whether its
    client is there or not: it is what the client gets that comes back for it. The body must have been read.
    """
    try:
        async with nullcontext() if is_kept else ClientWatched(http.receive, None):
            events = [event async for event in run]
            reception_of(http.scope).interruption.let_finish()
            return events
    finally:
        await run.aclose(_outcome(reception_of(http.scope)))


def _comment(progress: str) -> bytes:
    """A line of server-sent events that is no event."""
    return b": %b\n\n" % " ".join(progress.split()).encode()


def _outcome(reception: Reception) -> Outcome | None:
    """What the usage record says of a Run that did not finish; None leaves the choice to the Run."""
    return Outcome.CUT if reception.interruption.error is not None else None


class _Sending:
    """When the send that is under way began, by the loop's clock. Two assignments per event, where a timeout per send
    would cost a timer."""

    __slots__ = ("_clock", "_since")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: float | None = None

    def begin(self) -> None:
        self._since = self._clock()

    def end(self) -> None:
        self._since = None

    def has_stalled(self, seconds: float) -> bool:
        return self._since is not None and self._clock() - self._since >= seconds


class ClientWatched:
    """Run the body while the client is there; raise ClientGone in its place when it leaves or stops reading.

    A body that sends nothing has no `stall_seconds`.

    A client that closes only its writing half counts as gone: its FIN is all that comes of one that left, too.
    """

    def __init__(self, receive: Receive, stall_seconds: float | None) -> None:
        self._receive = receive
        self._stall_seconds = stall_seconds
        self._loop = asyncio.get_running_loop()
        self._sending = _Sending(self._loop.time)
        self._body = Interruptible()
        self._watchers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> _Sending:
        self._body.__enter__()
        self._starting = self._loop.call_later(_UNWATCHED_SECONDS, self._watch)
        return self._sending

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            # A client that leaves from here on changes nothing.
            self._body.let_finish()
        self._starting.cancel()
        try:
            for watcher in self._watchers:
                watcher.cancel()
            if self._watchers:
                await asyncio.wait(self._watchers)
        except asyncio.CancelledError as late:
            # By a watcher that saw the client leave in this very moment, or from elsewhere.
            self._body.__exit__(type(late), late, late.__traceback__)
            raise
        self._body.__exit__(kind, error, trace)

    def _watch(self) -> None:
        self._watchers.append(self._loop.create_task(_interrupt_on_disconnect(self._receive, self._body)))
        if self._stall_seconds is not None:
            stalled = _interrupt_on_stall(self._sending, self._stall_seconds, self._body)
            self._watchers.append(self._loop.create_task(stalled))


async def _interrupt_on_disconnect(receive: Receive, body: Interruptible) -> None:
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except ParleyError as error:
        # A body that the handler did not want, and that broke a cap on its way.
        body.interrupt(error)
    else:
        body.interrupt(ClientGone("the client closed the connection"))


async def _interrupt_on_stall(sending: _Sending, stall_seconds: float, body: Interruptible) -> None:
    # Looked at now and then: an event for "stalled" would need a timer for each send.
    while not sending.has_stalled(stall_seconds):  # noqa: ASYNC110 - see above
        await asyncio.sleep(stall_seconds / 6)
    body.interrupt(ClientGone("the client does not read"))
