"""One supervised worker: started, watched, ended when it hangs, started again when it died."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from parley.core.channel import Header
from parley.core.clock import Clock
from parley.core.errors import EngineFailed, ModelLoadFailed, ModelUnavailable
from parley.core.restarts import RestartPolicy, Restarts
from parley.infra.dialogue import Dialogue, Listener
from parley.infra.sandbox import Limits, Worker, WorkerFailed, start_ready
from parley.serving.engines.progress import Progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """Deadlines and pauses of one child, in seconds."""

    load_seconds: float = 300.0
    # Without a sign of life for so long, or 20 times the 99th percentile of its pauses, while work is open, it hangs.
    stall_seconds: float = 30.0
    stall_check_seconds: float = 1.0
    first_backoff_seconds: float = 1.0
    last_backoff_seconds: float = 60.0
    # So many ends within the window, and it is not started again before a whole window has passed.
    max_crashes: int = 5
    crash_window_seconds: float = 300.0
    # How long it may take a worker whose dialogue ended to be seen to have ended.
    doubt_seconds: float = 1.0
    # How long a request waits for a child that is being started again.
    ready_seconds: float = 30.0

    @property
    def restarts(self) -> RestartPolicy:
        """When a child that ended is started again."""
        return RestartPolicy(
            first_pause_seconds=self.first_backoff_seconds,
            last_pause_seconds=self.last_backoff_seconds,
            window_seconds=self.crash_window_seconds,
            max_failures=self.max_crashes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveChild:
    """A worker that said `ready`, with what it said."""

    worker: Worker
    dialogue: Dialogue
    facts: Header
    raw: bytes


class Child:
    """Keeps one worker alive between `start` and `aclose`. Work on it says when it begins, progresses and ends."""

    def __init__(
        self,
        module: str,
        arguments: Callable[[], Sequence[str]],
        *,
        clock: Clock,
        supervision: Supervision,
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        listener: Listener = Listener(),  # noqa: B008 - a frozen value
    ) -> None:
        """`listener` hears what the worker says unasked, and each worker's end."""
        self._module = module
        self._arguments = arguments
        self._limits = limits
        self._clock = clock
        self._supervision = supervision
        self._listener = listener
        self._live: LiveChild | None = None
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._failure: ModelLoadFailed | None = None
        self._is_closing = False
        self._is_doubted = False
        self._progress = Progress(floor_seconds=supervision.stall_seconds)
        self._restarts = Restarts(supervision.restarts, clock)
        self.num_restarts = 0

    @property
    def is_ready(self) -> bool:
        return self._live is not None

    @property
    def pid(self) -> int | None:
        return None if self._live is None else self._live.worker.pid

    async def start(self) -> None:
        """Load. Raises ModelLoadFailed when the first load fails; later ones are tried again, as the supervision says."""
        live = await self._load()
        await self._set_live(live)
        self._task = asyncio.create_task(self._supervise(live))

    async def aclose(self) -> None:
        """End the worker and its supervision. May be called any number of times."""
        self._is_closing = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        if (live := self._live) is not None:
            # Closed before the supervision had its first turn, which would have ended it.
            self._live = None
            await asyncio.shield(self._discard(live))
        async with self._changed:
            self._changed.notify_all()

    async def live(self) -> LiveChild:
        """The ready worker, waited for while it is started again.

        Raises EngineFailed when that takes too long, ModelUnavailable when it ended too often to be waited for.
        """
        if self._live is not None and self._is_doubted:
            await self._settle_doubt(self._live)
        if self._live is not None:
            return self._live
        try:
            async with asyncio.timeout(self._supervision.ready_seconds), self._changed:
                await self._changed.wait_for(
                    lambda: self._live is not None or self._is_closing or self._restarts.is_given_up
                )
        except TimeoutError:
            raise self._failure or EngineFailed(f"{self._module} is not ready") from None
        return self._require_live()

    async def _settle_doubt(self, live: LiveChild) -> None:
        try:
            async with asyncio.timeout(self._supervision.doubt_seconds):
                await live.worker.wait()
        except TimeoutError:
            self._is_doubted = False
            return
        if self._live is live:
            await self._set_live(None)

    def _require_live(self) -> LiveChild:
        if self._live is not None:
            return self._live
        if self._is_closing:
            raise EngineFailed(f"{self._module} was stopped")
        raise ModelUnavailable(
            "The model is unavailable: its engine ended again and again within a few minutes.",
            retry_after_seconds=self._restarts.wait_seconds,
        )

    def begin_work(self) -> None:
        """From now until `end_work`, the worker owes signs of life. Several pieces of work may be open."""
        self._progress.begin(self._clock.monotonic())

    def end_work(self) -> None:
        self._progress.end()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Work for as long as it is entered."""
        self.begin_work()
        try:
            yield
        finally:
            self.end_work()

    def progressed(self) -> None:
        """A sign of life came; called for every piece of output, so it is cheap."""
        self._progress.sign(self._clock.monotonic())

    def doubt(self) -> None:
        """It looks dead: before it gets new work, it is given a moment to be seen to have ended."""
        self._is_doubted = True

    async def _load(self) -> LiveChild:
        worker, facts, raw = await start_ready(
            self._module, self._arguments(), limits=self._limits, load_seconds=self._supervision.load_seconds
        )
        listener = Listener(
            on_progress=self.progressed,
            on_event=self._listener.on_event,
            on_end=lambda error: self._ended(worker, error),
        )
        return LiveChild(worker=worker, dialogue=Dialogue(worker, listener), facts=facts, raw=raw)

    def _ended(self, worker: Worker, error: WorkerFailed) -> None:
        """Its dialogue has ended. What speaks nonsense is of no more use; most likely it is dead already."""
        worker.kill()
        self.doubt()
        self._listener.on_end(error)

    async def _supervise(self, live: LiveChild | None) -> None:
        try:
            while True:
                if live is not None:
                    await self._watch(live)
                    self._restarts.failed()
                    await self._set_live(None)
                    await self._discard(live)
                    live = None
                await asyncio.sleep(self._restarts.wait_seconds)
                self.num_restarts += 1
                try:
                    live = await self._load()
                except ModelLoadFailed as error:
                    self._failure = error
                    self._restarts.failed()
                    _log.error("engine_restart_failed", extra={"worker": self._module, "detail": error.detail})
                    # Who waits for it learns that it is given up.
                    await self._set_live(None)
                    continue
                self._failure = None
                await self._set_live(live)
        finally:
            if live is not None:
                self._live = None
                await asyncio.shield(self._discard(live))

    async def _watch(self, live: LiveChild) -> None:
        """Return once the worker has ended, by itself or because it hung and was ended."""
        ended = asyncio.ensure_future(live.worker.wait())
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=self._supervision.stall_check_seconds)
                if not ended.done() and self._progress.is_stalled(self._clock.monotonic()):
                    _log.error("engine_hangs", extra={"worker": self._module, "pid": live.worker.pid})
                    live.worker.kill()
                    await ended
        finally:
            ended.cancel()
        if not self._is_closing:
            extra = {"worker": self._module, "status": ended.result(), "last_words": live.worker.last_words[-2000:]}
            _log.error("engine_ended", extra=extra)

    async def _set_live(self, live: LiveChild | None) -> None:
        async with self._changed:
            self._live = live
            self._is_doubted = False
            self._progress.forget(self._clock.monotonic())
            self._changed.notify_all()

    async def _discard(self, live: LiveChild) -> None:
        await live.dialogue.aclose()
        await live.worker.stop()
