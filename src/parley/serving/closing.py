"""What a request has to end and to give back: the last thing that it took first."""

from collections import deque
from collections.abc import Awaitable, Callable


class Closing:
    """Calls to make at the end, whatever becomes of each. contextlib's AsyncExitStack does this and more, at four times the price,
    which every request would pay."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: deque[tuple[bool, Callable[[], object]]] = deque()

    def push(self, call: Callable[[], object]) -> None:
        """Call it before everything that is here."""
        self._calls.append((False, call))

    def push_async(self, call: Callable[[], Awaitable[object]]) -> None:
        """As `push`, and wait for it."""
        self._calls.append((True, call))

    def push_last(self, call: Callable[[], object]) -> None:
        """Call it after everything that is here."""
        self._calls.appendleft((False, call))

    async def aclose(self) -> None:
        """Make the calls, each once. What the last one raised is raised behind them, with what came before as its context."""
        failure: BaseException | None = None
        while self._calls:
            is_async, call = self._calls.pop()
            try:
                if is_async:
                    await call()  # type: ignore[misc]  # as push_async took it
                else:
                    call()
            except BaseException as error:  # noqa: BLE001 - raised below
                if failure is not None:
                    error.__context__ = failure
                failure = error
        if failure is not None:
            raise failure
