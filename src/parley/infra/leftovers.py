"""Programs of an operator that outlived a server: found by a mark in their environment, and ended before others are started.

A server that is killed takes its own workers with it, by the kernel's word. A program that it was told to start gets a signal
which it may not hear, and its children may get none; they would hold the accelerator's memory for ever.
"""

import logging
import os
import signal
from pathlib import Path

_log = logging.getLogger(__name__)

_VARIABLE = "LEASHED_TO_PARLEY"
_PROCESSES = Path("/proc")


def leash(data: Path) -> dict[str, str]:
    """The variable by which a program of this data folder is known, and all that it starts."""
    return {_VARIABLE: str(data.resolve())}


def end_leftovers(data: Path) -> int:
    """End what programs of this data folder still run, and say how many processes they were.

    For whoever holds the folder and has started none yet. Where the system does not show environments, nothing is found.
    """
    mark = f"{_VARIABLE}={data.resolve()}".encode()
    pids = {int(folder.name) for folder in _PROCESSES.glob("[0-9]*") if mark in _environment(folder)}
    num_ended = sum([_end(pid) for pid in pids - {os.getpid()}])
    if num_ended:
        _log.warning("leftovers_ended", extra={"num_processes": num_ended})
    return num_ended


def _environment(folder: Path) -> list[bytes]:
    try:
        return (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        # It has ended, or is somebody else's.
        return []


def _end(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True
