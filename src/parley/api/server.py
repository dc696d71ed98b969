"""The HTTP server: granian inside our own event loop, with our own signals, and the way it stops.

Why these settings (granian 2.8.7, measured on real sockets):

- `header_read_timeout` closes a connection whose head is not complete in time. It is also the idle limit of a kept-alive
  connection; clients of the OpenAI SDK give theirs up after 5 s, so 10 s never cuts one that is about to be used again.
- `backpressure` caps connections, not requests. Its default is the backlog (128): 300 half-sent heads kept a healthy
  client waiting for the whole header timeout; with our figure it waited 9 ms.
- `max_buffer_size` bounds what is read ahead of the parser and written ahead of the socket. Heads above 100 fields or a
  few buffers of bytes are answered 431 or 414 by granian, with an empty body; the guard refuses smaller ones in our shape.
- HTTP/1 only: no client of this API asks for h2c, and TLS, where h2 is negotiated, belongs to a reverse proxy.
- `stop()` closes the listener and idle connections at once; `serve()` returns when the last reply has ended.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.net import SocketHolder  # type: ignore[attr-defined]  # it is there for others, without __all__
from granian.server.embed import Server
from starlette.types import ASGIApp

from parley.api.listener import max_connections
from parley.api.open_requests import OpenRequests

logger = logging.getLogger(__name__)

_BUFFER_BYTES = 64 * 1024
_THREADS_END_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTimes:
    """Seconds. SIGTERM: the drain window, whose first `refuse_seconds` are 503 on an open listener, for load balancers to
    look away. SIGINT, which is Ctrl-C in a terminal: the listener closes at once and the window is `interrupt_seconds`."""

    header_seconds: float = 10.0
    refuse_seconds: float = 1.0
    drain_seconds: float = 120.0
    interrupt_seconds: float = 1.0
    # How long cut requests may take to send their last frame and settle; then the server goes without them.
    settle_seconds: float = 5.0


class HttpServer:
    """Serves one application on one listener, until a signal."""

    def __init__(
        self, app: ASGIApp, listener: socket.socket, *, open_requests: OpenRequests, times: ServerTimes
    ) -> None:
        """Takes `listener` over."""
        self._granian = _EmbeddedServer(app, listener, header_seconds=times.header_seconds)
        self._open_requests = open_requests
        self._times = times
        self._stops: asyncio.Queue[signal.Signals] = asyncio.Queue(maxsize=8)

    async def serve(self, on_listening: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT, then stop as the times say; a second signal skips to the end of the window.

        `on_listening` is called once, when connections are accepted. Needs the main thread, which alone gets signals.
        """
        threads = _foreign_threads()
        serving = asyncio.ensure_future(self._granian.serve())
        try:
            with self._signals_caught():
                on_listening()
                first = await self._stop_or_end(serving, seconds=None)
                if first is not None:
                    await self._drain(serving, first)
        finally:
            await self._end(serving)
            await self._release(threads)
        if not serving.cancelled():
            serving.result()
        if first is None:
            raise RuntimeError("the HTTP server ended without being told to")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop as if that signal had come."""
        # A third and fourth say nothing new.
        if not self._stops.full():
            self._stops.put_nowait(number)

    async def _drain(self, serving: asyncio.Future[None], first: signal.Signals) -> None:
        times = self._times
        is_interrupt = first is signal.SIGINT
        self._open_requests.refuse_new()
        logger.info("stopping", extra={"signal": first.name, "num_open_requests": len(self._open_requests)})
        hurried = None if is_interrupt else await self._stop_or_end(serving, seconds=times.refuse_seconds)
        self._granian.stop()  # type: ignore[no-untyped-call]  # granian's servers have no types
        if hurried is None:
            # What was waited before the listener closed is part of the window.
            window = times.interrupt_seconds if is_interrupt else max(0.0, times.drain_seconds - times.refuse_seconds)
            await self._stop_or_end(serving, seconds=window)

    async def _end(self, serving: asyncio.Future[None]) -> None:
        """Cut what still runs, and wait until it has said so. The end of every way out, also of a failed start."""
        deadline = asyncio.get_running_loop().time() + self._times.settle_seconds
        if not serving.done():
            logger.warning("cutting what still runs", extra={"num_open_requests": len(self._open_requests)})
            self._granian.stop()  # type: ignore[no-untyped-call]  # granian's servers have no types
            self._open_requests.cut()
            await asyncio.wait({serving}, timeout=self._times.settle_seconds)
            if not serving.done():
                # Every Run is closed by now; what is left is a connection whose client takes its last bytes too slowly.
                logger.warning("leaving connections behind", extra={"num_open_requests": len(self._open_requests)})
                serving.cancel()
                await asyncio.wait({serving})
        # granian waits for no request whose client has left, and its Run may still be closing.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._open_requests.wait_idle()

    async def _release(self, threads_before: set[int]) -> None:
        """Let go of granian, and wait for its threads to end, which they do once nothing refers to it.

        One that is still there when the interpreter shuts down reaches for its lock, and takes the process down with
        SIGABRT in place of exit code 0: seen in 5 of 40 stops.
        """
        del self._granian
        gc.collect()
        deadline = asyncio.get_running_loop().time() + _THREADS_END_SECONDS
        # Threads of another language announce nothing, so they are counted.
        while _foreign_threads() - threads_before and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def _stop_or_end(self, serving: asyncio.Future[None], *, seconds: float | None) -> signal.Signals | None:
        """The next signal, or None when serving ended or the time is up before one came."""
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(self._stops.get())
            either: set[asyncio.Future[Any]] = {waiting, serving}
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        return None if waiting.cancelled() else waiting.result()

    @contextlib.contextmanager
    def _signals_caught(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        caught = (signal.SIGTERM, signal.SIGINT)
        for number in caught:
            loop.add_signal_handler(number, self.stop, number)
        try:
            yield
        finally:
            for number in caught:
                loop.remove_signal_handler(number)


def _foreign_threads() -> set[int]:
    """The ids of this process's threads that Python did not start; none where the system does not tell."""
    tasks = Path("/proc/self/task")
    known = {thread.native_id for thread in threading.enumerate()}
    return {int(task.name) for task in tasks.iterdir()} - known if tasks.is_dir() else set()


class _EmbeddedServer(Server):
    """granian on a socket of ours."""

    def __init__(self, app: ASGIApp, listener: socket.socket, *, header_seconds: float) -> None:
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backpressure=max_connections(),
            http1_settings=HTTP1Settings(header_read_timeout=int(header_seconds * 1000), max_buffer_size=_BUFFER_BYTES),
            # Every request is logged by the reception, every failure by the error boundary.
            log_enabled=False,
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:
        """granian's seam for a socket that exists already, which it uses itself where its workers are processes."""
        self._ssp = None
        holder = SocketHolder(self._listener.detach(), False, self.backlog)  # type: ignore[call-arg]  # its stub has none
        self._shd = holder  # type: ignore[assignment]  # inferred from its first value, None
