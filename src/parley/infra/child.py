"""What programs and workers have in common as children of ours: whether one still runs, and the last that it said."""

import asyncio
import os
from collections import deque

_MAX_BYTES = 64 * 1024


def is_running(process: asyncio.subprocess.Process) -> bool:
    """Asked of the kernel: that a process has ended is known there before the event loop hears of it."""
    if process.returncode is not None:
        return False
    try:
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return ended is None


class LastWords:
    """Reads a child's pipe for as long as it is open, and keeps the end of what came."""

    def __init__(self, pipe: asyncio.StreamReader | None) -> None:
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._reading = asyncio.create_task(self._read(pipe))

    def __str__(self) -> str:
        return b"".join(self._parts).decode(errors="replace").strip()

    async def wait_all(self, seconds: float) -> None:
        """Wait until the pipe has ended, for so long at most: something that the child started could hold it open."""
        await asyncio.wait({self._reading}, timeout=seconds)

    async def aclose(self) -> None:
        """Read no more than what is there."""
        await self.wait_all(0.2)
        self._reading.cancel()

    async def _read(self, pipe: asyncio.StreamReader | None) -> None:
        while pipe is not None and (part := await pipe.read(4096)):
            self._parts.append(part)
            self._size += len(part)
            while self._size > _MAX_BYTES:
                self._size -= len(self._parts.popleft())
