"""Threads that read: a few, so that those who wait queue up, and none that its caller or the end of the process would wait for."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from parley.core.errors import Overloaded

T = TypeVar("T")

# A read ends itself in its time; one whose server says nothing at all does not, and its caller goes without it so much later.
_GRACE_SECONDS = 1.0
# What reads for as long as it takes is waited for so long when the database is closed.
_CLOSE_SECONDS = 5.0


class Readers:
    """`num_threads` daemons. One that hangs is one less, until its server answers or the connection is given up."""

    def __init__(self, *, num_threads: int) -> None:
        self._queue: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"database-reader-{number}", daemon=True)
            for number in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[], T], *, within_seconds: float | None) -> T:
        """What `work` comes to. Raises Overloaded where it has not in its time, waiting for a thread included."""
        if self._is_closed:
            raise RuntimeError("the database is closed")
        future: Future[T] = Future()
        self._queue.put((future, work))
        try:
            async with asyncio.timeout(None if within_seconds is None else within_seconds + _GRACE_SECONDS):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Overloaded(
                "The records cannot be read at the moment. Please retry your request later.", retry_after_seconds=5.0
            ) from None

    def close(self) -> None:
        """End the threads behind what waits; those that hang are left to the end of the process. Safe to call again."""
        self._is_closed = True
        for _ in self._threads:
            self._queue.put(None)
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (asked := self._queue.get()) is not None:
            future, work = asked
            # Who asked may have gone.
            if future.set_running_or_notify_cancel():
                _work_and_tell(future, work)


def _work_and_tell(future: Future[T], work: Callable[[], T]) -> None:
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - the outermost frame of a thread's work: carried to who waits
        future.set_exception(error)
    else:
        future.set_result(result)
