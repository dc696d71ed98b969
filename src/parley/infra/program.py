"""Starts a program that the operator named, keeps the end of what it says, and ends it with all its children.

Unlike our workers it is not confined: it gets the operator's environment (but for Parley's own settings, which hold
secrets) and the network, because it is a server.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import parley
from parley.infra.child import LastWords, is_running

_LAST_WORDS_SECONDS = 1.0


class Program:
    """One running program. Whoever starts it stops it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._last_words = LastWords(process.stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return is_running(self._process)

    @property
    def last_words(self) -> str:
        """The end of what it wrote to stdout and stderr, for the operator."""
        return str(self._last_words)

    async def wait(self) -> int:
        """The exit status, once it has ended; negative for a signal."""
        return await self._process.wait()

    async def heard_out(self) -> str:
        """`last_words` of one that has ended; of one that runs, what it said until now."""
        if not self.is_running:
            await self._last_words.wait_all(_LAST_WORDS_SECONDS)
        return self.last_words

    async def stop(self, *, grace_seconds: float = 10.0) -> None:
        """Ask it and its children to end, end them after `grace_seconds`, and wait until it is gone."""
        try:
            self._signal(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await self._process.wait()
        finally:
            # The whole group: a server's own workers hold the accelerator's memory.
            self._signal(signal.SIGKILL)
        await self._process.wait()
        await self._last_words.aclose()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


async def start_program(command: Sequence[str], environment: Mapping[str, str]) -> Program:
    """Start `command` in a process group of its own. A program that does not exist ends at once, and says so."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(parley.__file__).parent / "workers" / "leash.py"),
        str(os.getpid()),
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
    )
    return Program(process)
