"""Ending a running body from outside with an exception of one's choice, as `asyncio.timeout` does with a clock."""

import asyncio
from types import TracebackType
from typing import Self


class Interruptible:
    """A context whose body `interrupt()` ends: the body is cancelled, and the context raises the given error.

    Entered once, by the task that runs the body. Several may be nested around one body: each raises its own error, and
    when two fire at once the outer one wins. A cancellation that comes from elsewhere passes through unchanged.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._error: Exception | None = None
        self._is_finishing = False

    @property
    def error(self) -> Exception | None:
        """What the body was interrupted with."""
        return self._error

    def interrupt(self, error: Exception) -> None:
        """End the body with `error`. The first call counts; before the body, after it and at its end nothing happens."""
        if self._task is None or self._error is not None or self._is_finishing:
            return
        self._error = error
        self._task.cancel()

    def let_finish(self) -> None:
        """From now on nothing ends the body: what it is about has been done, and only remains to be told."""
        self._is_finishing = True

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an interruptible body runs inside a task")
        self._task = task
        self._cancelling = task.cancelling()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is None or self._error is None:
            return
        is_ours_alone = task.uncancel() <= self._cancelling
        if is_ours_alone and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise self._error from error
