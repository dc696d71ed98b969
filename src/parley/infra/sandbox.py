"""Starts worker programs under limits, keeps what they say on stderr, and ends them.

A worker gets an environment made from nothing (no secret of ours can be in it), loses the network and the right to new
privileges where the kernel allows (`parley.workers.confine`), and dies with this process.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import parley
from parley.core.channel import Header
from parley.core.errors import ModelLoadFailed
from parley.infra.child import LastWords, is_running
from parley.infra.message_pipe import MessagePipe, OnMessage, open_pipe

_CONFINED_SECONDS = 15.0
_GRACE_SECONDS = 2.0
_LAST_WORDS_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a worker may take; None means no limit of that kind. It can read what its user can, unless it has a folder."""

    # The llama.cpp worker maps its weights, so it has none.
    address_space_bytes: int | None = None
    # For short-lived workers; one that serves for days has none.
    cpu_seconds: int | None = None
    num_files: int = 1024
    # The largest file that it may write.
    file_bytes: int = 0


class WorkerFailed(Exception):
    """A worker did not start, or ended. `last_words` is the end of its stderr, for the log and the operator; `by_signal`
    is whether a signal ended it, of somebody's or of its own fault, rather than its own will."""

    def __init__(self, what: str, *, last_words: str = "", by_signal: bool = False) -> None:
        super().__init__(what)
        self.last_words = last_words
        self.by_signal = by_signal


class Worker:
    """One running worker program. Whoever starts it stops it; `held` says which confinements hold."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: MessagePipe, module: str) -> None:
        self._process = process
        self._pipe = pipe
        self._module = module
        self._last_words = LastWords(process.stderr)
        self.held: Mapping[str, bool] = {}

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return is_running(self._process)

    @property
    def last_words(self) -> str:
        """The end of its stderr: the only place where a runtime says why it could not load."""
        return str(self._last_words)

    async def send(self, message: bytes) -> None:
        """Write one packed message; waits while the worker is behind. Raises WorkerFailed when it is gone."""
        try:
            await self._write(message).drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise WorkerFailed(f"{self._module} is gone", last_words=self.last_words) from error

    def send_later(self, message: bytes) -> None:
        """Leave a short message to be written when the worker reads. Raises WorkerFailed when it is gone."""
        self._write(message)

    def _write(self, message: bytes) -> asyncio.StreamWriter:
        pipe = self._process.stdin
        if pipe is None or pipe.is_closing():
            raise WorkerFailed(f"{self._module} is gone", last_words=self.last_words)
        pipe.write(message)
        return pipe

    async def receive(self) -> tuple[Header, bytes]:
        """The next message, before `listen`. Raises WorkerFailed when the worker ended or speaks nonsense; then it is of
        no more use."""
        message = await self._pipe.receive()
        if message is None:
            raise await self.failure()
        return message

    def listen(self, on_message: OnMessage) -> None:
        """Hand over every message as it comes, from now on. `failure` tells when there will be no more."""
        self._pipe.listen(on_message)

    async def failure(self) -> WorkerFailed:
        """Waits until the worker says nothing more, and tells why."""
        await self._pipe.wait_ended()
        if self._pipe.broken is not None:
            return WorkerFailed(f"{self._module}: {self._pipe.broken}", last_words=self.last_words)
        try:
            async with asyncio.timeout(1.0):
                status = await self._process.wait()
        except TimeoutError:
            return WorkerFailed(f"{self._module} closed its output", last_words=self.last_words)
        await self._last_words.wait_all(_LAST_WORDS_SECONDS)
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return WorkerFailed(f"{self._module} {how}", last_words=self.last_words, by_signal=status < 0)

    async def wait(self) -> int:
        """The exit status, once it has ended; negative for a signal."""
        return await self._process.wait()

    def kill(self) -> None:
        """End it at once, stopped or not; `stop` afterwards."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self, *, grace_seconds: float = _GRACE_SECONDS) -> None:
        """Ask it to end by closing its input, end it after `grace_seconds`, and wait until it is gone."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(grace_seconds):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        finally:
            self.kill()
            # Something that the worker started could hold the pipes open.
            self._pipe.close()
            await self._last_words.aclose()


async def start_worker(
    module: str, arguments: Sequence[str] = (), *, limits: Limits, folder: Path | None = None
) -> Worker:
    """Start `module` under `limits`; it is confined when this returns, and its first own message may be received.

    It runs in `folder`, where that is given, and reads nothing else but programs, if the kernel can see to it. Raises
    WorkerFailed when the program cannot be started. A cancelled start leaves nothing behind.
    """
    given = {
        "parent": os.getpid(),
        "num_files": limits.num_files,
        "file_bytes": limits.file_bytes,
        "address_space_bytes": limits.address_space_bytes,
        "cpu_seconds": limits.cpu_seconds,
        "folder": None if folder is None else str(folder),
    }
    command = ("-m", "parley.workers.confine", json.dumps(given), module, *arguments)
    pipe, its_end = await open_pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=its_end,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            cwd=folder,
            # Ctrl-C is for us; the workers are stopped when their work is done.
            start_new_session=True,
        )
    except OSError as error:
        pipe.close()
        raise WorkerFailed(f"{module} cannot be started: {error}") from error
    except BaseException:
        pipe.close()
        raise
    finally:
        os.close(its_end)
    worker = Worker(process, pipe, module)
    try:
        async with asyncio.timeout(_CONFINED_SECONDS):
            header, _ = await worker.receive()
        held = header.get("held")
        if header.get("event") != "confined" or not isinstance(held, dict):
            raise WorkerFailed(f"{module} did not start through its confinement")  # noqa: TRY301 - one clean-up for all
        worker.held = {str(name): bool(value) for name, value in held.items()}
    except TimeoutError:
        await worker.stop(grace_seconds=0.0)
        raise WorkerFailed(f"{module} did not start in time", last_words=worker.last_words) from None
    except BaseException:
        await asyncio.shield(worker.stop(grace_seconds=0.0))
        raise
    return worker


async def start_ready(
    module: str, arguments: Sequence[str] = (), *, limits: Limits, load_seconds: float
) -> tuple[Worker, Header, bytes]:
    """Start a worker that says `ready` once it is, or `failed` with a reason; with what it said. Raises ModelLoadFailed.

    A cancelled start leaves nothing behind.
    """
    try:
        worker = await start_worker(module, arguments, limits=limits)
    except WorkerFailed as error:
        raise ModelLoadFailed(f"{error}: {error.last_words}") from error
    facts: Header = {}
    is_death = False
    try:
        async with asyncio.timeout(load_seconds):
            facts, raw = await worker.receive()
        if facts.get("event") == "ready":
            return worker, facts, raw
        reason = str(facts.get("reason"))
    except WorkerFailed as error:
        reason, is_death = str(error), error.by_signal
    except TimeoutError:
        reason = f"{module} was not ready in time"
    finally:
        if facts.get("event") != "ready":
            # Ended first, so that all of its last words are there.
            await asyncio.shield(worker.stop(grace_seconds=0.0))
    raise ModelLoadFailed(f"{reason}: {worker.last_words}", is_death=is_death)


async def confinement_report() -> Mapping[str, bool]:
    """Which confinements hold on this machine, by trying them."""
    worker = await start_worker("-", limits=Limits(cpu_seconds=10))
    await worker.stop()
    return worker.held


def _environment() -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(parley.__file__).parents[1]),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # A worker that spins while it waits starves beside any other load; it must be set before the runtime is loaded.
        "GOMP_SPINCOUNT": "1000",
        # Otherwise ggml's abort handler starts a debugger if one is installed.
        "GGML_NO_BACKTRACE": "1",
    }
