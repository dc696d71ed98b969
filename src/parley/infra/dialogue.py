"""Questions to a worker and their answers: many may be open at a time, each waits for its own."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from parley.core.channel import Header, pack
from parley.infra.sandbox import Worker, WorkerFailed


class Refused(Exception):
    """The worker is well and says no to this one question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What happens on a dialogue, as it happens. The calls are short: nothing else is read meanwhile."""

    # Any message came.
    on_progress: Callable[[], None] = lambda: None
    # One that answers no question. Raises WorkerFailed for nonsense, after which nothing is heard any more.
    on_event: Callable[[Header, bytes], None] = lambda _header, _raw: None
    # The worker is gone, or nobody listens to it any more. Called once.
    on_end: Callable[[WorkerFailed], None] = lambda _error: None


class Dialogue:
    """Owns the reading side of a ready worker."""

    def __init__(self, worker: Worker, listener: Listener | None = None) -> None:
        self._worker = worker
        self._listener = listener or Listener()
        self._open: dict[int, asyncio.Future[tuple[Header, bytes]]] = {}
        self._last_id = 0
        self._failure: WorkerFailed | None = None
        worker.listen(self._hear)
        self._end = asyncio.create_task(self._wait_for_end())

    @property
    def is_over(self) -> bool:
        """Whether nothing will come of it any more."""
        return self._failure is not None

    async def ask(self, header: Mapping[str, object], raw: bytes = b"") -> tuple[Header, bytes]:
        """The worker's answer. A cancelled question is told to the worker, which drops it when it can.

        Raises Refused with the worker's reason, WorkerFailed when it dies.
        """
        if self._failure is not None:
            raise self._failure
        self._last_id += 1
        question_id = self._last_id
        answer: asyncio.Future[tuple[Header, bytes]] = asyncio.get_running_loop().create_future()
        self._open[question_id] = answer
        try:
            await self._worker.send(pack({**header, "id": question_id}, raw))
            reply, reply_raw = await answer
        except asyncio.CancelledError:
            self.tell_later({"op": "withdraw", "withdrawn": question_id})
            raise
        finally:
            self._open.pop(question_id, None)
        if "refused" in reply:
            raise Refused(str(reply["refused"]))
        return reply, reply_raw

    async def tell(self, header: Mapping[str, object], raw: bytes = b"") -> None:
        """Say something that has no answer. Raises WorkerFailed."""
        if self._failure is not None:
            raise self._failure
        await self._worker.send(pack(header, raw))

    def tell_later(self, header: Mapping[str, object]) -> None:
        """Say something short without waiting; a worker that is gone needs not be told."""
        # Without waiting: a worker that stands still would hold up whoever gives up on it.
        with suppress(WorkerFailed):
            self._worker.send_later(pack(header))

    async def aclose(self) -> None:
        """Stop listening; open questions fail. The worker itself is the caller's."""
        self._end.cancel()
        await asyncio.wait({self._end})
        self._fail(WorkerFailed("the dialogue was closed"))

    def _hear(self, header: Header, raw: bytes) -> None:
        if self._failure is not None:
            return
        self._listener.on_progress()
        question_id = header.get("id")
        if question_id is None:
            try:
                self._listener.on_event(header, raw)
            except WorkerFailed as error:
                self._fail(error)
            return
        answer = self._open.get(question_id) if isinstance(question_id, int) else None
        if answer is not None and not answer.done():
            answer.set_result((header, raw))

    async def _wait_for_end(self) -> None:
        self._fail(await self._worker.failure())

    def _fail(self, error: WorkerFailed) -> None:
        if self._failure is not None:
            return
        self._failure = error
        self._listener.on_end(error)
        for answer in self._open.values():
            if not answer.done():
                answer.set_exception(error)
