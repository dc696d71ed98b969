"""The HTTP server: connections on one listener, its signals, and the way it stops."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from parley.api.connections import ConnectionRules, Connections
from parley.api.open_requests import OpenRequests

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTimes:
    """Seconds. SIGTERM: the drain window, whose first `refuse_seconds` are 503 on an open listener, for load balancers to
    look away. SIGINT, which is Ctrl-C in a terminal: the listener closes at once and the window is `interrupt_seconds`."""

    refuse_seconds: float = 1.0
    drain_seconds: float = 120.0
    interrupt_seconds: float = 1.0
    # How long cut requests may take to send their last frame and settle; then the server goes without them.
    settle_seconds: float = 5.0


class HttpServer:
    """Serves one application on one listener, until a signal."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        *,
        open_requests: OpenRequests,
        times: ServerTimes,
        rules: ConnectionRules | None = None,
    ) -> None:
        """Takes `listener` over."""
        self._connections = Connections(app, rules or ConnectionRules())
        self._listener = listener
        self._open_requests = open_requests
        self._times = times
        self._stops: asyncio.Queue[signal.Signals] = asyncio.Queue(maxsize=8)

    async def serve(self, on_listening: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT, then stop as the times say; a second signal skips to the end of the window.

        `on_listening` is called once, when connections are accepted. Needs the main thread, which alone gets signals.
        """
        await self._connections.start(self._listener)
        closed = asyncio.ensure_future(self._connections.wait_closed())
        try:
            with self._signals_caught():
                on_listening()
                first = await self._stop_or_end(closed, seconds=None)
                if first is not None:
                    await self._drain(closed, first)
        finally:
            await self._end(closed)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop as if that signal had come."""
        # A third and fourth say nothing new.
        if not self._stops.full():
            self._stops.put_nowait(number)

    async def _drain(self, closed: asyncio.Future[None], first: signal.Signals) -> None:
        times = self._times
        is_interrupt = first is signal.SIGINT
        self._open_requests.refuse_new()
        logger.info("stopping", extra={"signal": first.name, "num_open_requests": len(self._open_requests)})
        hurried = None if is_interrupt else await self._stop_or_end(closed, seconds=times.refuse_seconds)
        self._connections.stop()
        if hurried is None:
            # What was waited before the listener closed is part of the window.
            window = times.interrupt_seconds if is_interrupt else max(0.0, times.drain_seconds - times.refuse_seconds)
            await self._stop_or_end(closed, seconds=window)

    async def _end(self, closed: asyncio.Future[None]) -> None:
        """Cut what still runs, and wait until it has said so. The end of every way out, also of a failed start."""
        deadline = asyncio.get_running_loop().time() + self._times.settle_seconds
        if not closed.done():
            logger.warning("cutting what still runs", extra={"num_open_requests": len(self._open_requests)})
            self._connections.stop()
            self._open_requests.cut()
            await asyncio.wait({closed}, timeout=self._times.settle_seconds)
            if not closed.done():
                # Every Run is closed by now; what is left is a connection whose client takes its last bytes too slowly.
                logger.warning("leaving connections behind", extra={"num_open_requests": len(self._open_requests)})
                self._connections.abort()
                closed.cancel()
        # Nobody may be there any more for whom a Run is still closing.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._open_requests.wait_idle()

    async def _stop_or_end(self, closed: asyncio.Future[None], *, seconds: float | None) -> signal.Signals | None:
        """The next signal, or None when all is closed or the time is up before one came."""
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(self._stops.get())
            either: set[asyncio.Future[Any]] = {waiting, closed}
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
