"""The server's own program where the operator gave us its command: started, watched, started again when it died."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from parley.core.errors import EngineFailed, ModelLoadFailed, Overloaded, ParleyError
from parley.infra.program import Program, start_program
from parley.serving.engines.openai_server.reaching import TryLater

_log = logging.getLogger(__name__)

Probe = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramTimes:
    """Deadlines and pauses, in seconds. One that always dies is started 8 times in five minutes."""

    load: float = 900.0
    between_probes: float = 0.5
    first_backoff: float = 2.0
    backoff_factor: float = 3.0
    last_backoff: float = 60.0
    # One that ran for so long has earned a quick restart.
    earned: float = 60.0
    # How long a request waits for a program that is being started again.
    ready: float = 30.0
    grace: float = 10.0


class SupervisedProgram:
    """Keeps one program alive between `start` and `aclose`. It is ready when it generated a token."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], times: ProgramTimes | None = None
    ) -> None:
        self._command = tuple(command)
        self._environment = environment
        self._times = times or ProgramTimes()
        self._program: Program | None = None
        self._is_ready = asyncio.Event()
        self._doubt = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.num_restarts = 0

    @property
    def pid(self) -> int | None:
        return None if self._program is None else self._program.pid

    async def start(self, probe: Probe) -> None:
        """Start it and wait until `probe` succeeds. Raises ModelLoadFailed; later failures are tried again for ever."""
        try:
            await self._bring_up(probe)
        except BaseException:
            await asyncio.shield(self._end())
            raise
        self._task = asyncio.create_task(self._supervise(probe))

    async def ready(self) -> None:
        """Wait while it is started again. Raises Overloaded when that takes long."""
        try:
            async with asyncio.timeout(self._times.ready):
                await self._is_ready.wait()
        except TimeoutError:
            raise Overloaded(
                "The server behind this model is being started.", retry_after_seconds=self._times.ready
            ) from None

    def doubt(self) -> None:
        """It says nothing where it should: let it generate a token, and start it again if it cannot."""
        self._doubt.set()

    async def aclose(self) -> None:
        """End the program and its supervision. May be called any number of times."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        await self._end()

    async def _bring_up(self, probe: Probe) -> None:
        try:
            program = self._program = await start_program(self._command, self._environment)
        except OSError as error:
            raise ModelLoadFailed(f"{self._command[0]} cannot be started: {error.strerror}") from None
        why = "it was not ready in time"
        try:
            async with asyncio.timeout(self._times.load):
                while program.is_running:
                    try:
                        await probe()
                        break
                    except TryLater as failure:
                        why = f"it was not ready in time ({failure})"
                    await asyncio.sleep(self._times.between_probes)
        except TimeoutError:
            raise await self._failed(program, why) from None
        except ParleyError as failure:
            why = failure.detail if isinstance(failure, EngineFailed) else failure.message
            raise await self._failed(program, why) from None
        if not program.is_running:
            # Whatever answered then was somebody else's server, on the port that ours could not have.
            raise await self._failed(program, "it ended")
        self._doubt.clear()
        self._is_ready.set()

    async def _failed(self, program: Program, why: str) -> ModelLoadFailed:
        return ModelLoadFailed(f"{self._command[0]}: {why}: {(await program.heard_out())[-2000:]}")

    async def _supervise(self, probe: Probe) -> None:
        backoff = self._times.first_backoff
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            if self._is_ready.is_set():
                await self._watch(probe)
                if loop.time() - started >= self._times.earned:
                    backoff = self._times.first_backoff
            await self._end()
            await asyncio.sleep(backoff)
            backoff = min(backoff * self._times.backoff_factor, self._times.last_backoff)
            self.num_restarts += 1
            started = loop.time()
            try:
                await self._bring_up(probe)
            except ModelLoadFailed as failure:
                _log.error("upstream_restart_failed", extra={"program": self._command[0], "detail": failure.detail})

    async def _watch(self, probe: Probe) -> None:
        """Return once the program has ended, or hangs."""
        program = self._program
        if program is None:
            return
        ended = asyncio.ensure_future(program.wait())
        hanging = asyncio.ensure_future(self._wait_hanging(probe))
        try:
            await asyncio.wait({ended, hanging}, return_when=asyncio.FIRST_COMPLETED)
            status = ended.result() if ended.done() else None
        finally:
            self._is_ready.clear()
            ended.cancel()
            hanging.cancel()
            await asyncio.wait({ended, hanging})
        extra = {"program": self._command[0], "status": status, "last_words": (await program.heard_out())[-2000:]}
        _log.error("upstream_hangs" if status is None else "upstream_ended", extra=extra)

    async def _wait_hanging(self, probe: Probe) -> None:
        """Return when the program was doubted and generates nothing."""
        while True:
            await self._doubt.wait()
            self._doubt.clear()
            try:
                await probe()
            except (TryLater, ParleyError):
                return

    async def _end(self) -> None:
        self._is_ready.clear()
        program, self._program = self._program, None
        if program is not None:
            await program.stop(grace_seconds=self._times.grace)
