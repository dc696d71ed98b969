"""Room on the disk: the reserve that settlements are written from when it is full, and the watch that stops new work before.

Fails closed: where no more can be kept, nothing new is taken. What runs goes on and is settled, and reads go on.
"""

import asyncio
import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from parley.core.errors import Overloaded

# Less than a twentieth of the disk, or than this where a twentieth is more.
_FREE_SHARE, _FREE_BYTES = 0.05, 512 << 20
_RESERVE_SHARE, _RESERVE_BYTES = 0.05, 64 << 20
_LOOK_SECONDS = 1.0
_RETRY_SECONDS = 30.0
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

_log = logging.getLogger(__name__)


class Reserve:
    """A file that takes room which nobody else can have. Giving it up is a single call, from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self) -> bool:
        """Take the room where it is not taken and there is enough; whether it is taken now."""
        if self._path.exists():
            return True
        disk = os.statvfs(self._path.parent)
        wanted = min(_RESERVE_BYTES, int(disk.f_blocks * disk.f_frsize * _RESERVE_SHARE))
        if disk.f_bavail * disk.f_frsize < wanted + _least_free(disk):
            return False
        part = self._path.with_name(f"{self._path.name}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _allocate(descriptor, max(wanted, 1))
            part.replace(self._path)
        except OSError:
            part.unlink()
            return False
        finally:
            os.close(descriptor)
        return True

    def give_up(self) -> bool:
        """Free the room for what must be written now; whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        _log.error("the disk is full: the reserve is given up")
        return True

    def release(self) -> None:
        """Free the room in good order: a server that is stopped has nothing left to settle."""
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLengths:
    """The write-ahead log is folded into the file by and by, unless a reader stays on an old state.

    From `fold_bytes` on that is tried every second; from `most_bytes` on nothing new is taken. What runs then still writes.
    """

    fold_bytes: int = 64 << 20
    most_bytes: int = 128 << 20


class StorageWatch:
    """Looks every second at the disk that `database`, a file of SQLite's, is on. The reserve lies beside it."""

    def __init__(self, database: Path, lengths: LogLengths | None = None) -> None:
        self.reserve = Reserve(database.with_name("reserve"))
        self._database = database
        self._lengths = lengths or LogLengths()
        self._log_path = database.with_name(f"{database.name}-wal")
        self._lack: str | None = None

    def check(self) -> None:
        """Raises Overloaded where nothing new is taken for want of room; a look at memory."""
        if self._lack is not None:
            raise _out_of_storage()

    async def run(self) -> None:
        """Look now and then every second, until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(_LOOK_SECONDS)

    def look(self) -> None:
        """Look once. Blocks for as long as the disk takes."""
        had_room, self._lack = self._lack is None, self._find_lack()
        if self._lack is None and not had_room:
            _log.warning("there is room again: new work is taken")
        elif self._lack is not None and had_room:
            _log.error("no new work is taken for want of room", extra={"reason": self._lack})

    def _find_lack(self) -> str | None:
        if self._log_bytes() > self._lengths.fold_bytes:
            self._fold()
            if (length := self._log_bytes()) > self._lengths.most_bytes:
                return f"a reader keeps the write-ahead log from being folded: it has {length >> 20} MiB"
        disk = os.statvfs(self._database.parent)
        free = disk.f_bavail * disk.f_frsize
        if free < _least_free(disk):
            return f"the disk of {self._database.parent} has {free >> 20} MiB left"
        return None if self.reserve.take() else f"the disk of {self._database.parent} has no room for the reserve"

    def _log_bytes(self) -> int:
        try:
            return self._log_path.stat().st_size
        except FileNotFoundError:
            return 0

    def _fold(self) -> None:
        """Fold the log as far as readers let it, and cut it off where they let all of it. Waits for nobody."""
        # Whoever writes now is in the way for a moment; the next look comes in a second.
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(self._database, timeout=0.0)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


@contextmanager
def refusing_without_room() -> Iterator[None]:
    """For what writes files for a request: raises Overloaded where the body finds the disk full."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise _out_of_storage() from error


def _out_of_storage() -> Overloaded:
    return Overloaded(
        "The server is out of storage and takes no new requests. Please retry your request later.",
        retry_after_seconds=_RETRY_SECONDS,
    )


def _allocate(descriptor: int, num_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, num_bytes)
        return
    # Not every system can; there the bytes are written.
    written = 0
    while written < num_bytes:
        written += os.write(descriptor, bytes(min(1 << 20, num_bytes - written)))


def _least_free(disk: os.statvfs_result) -> int:
    return min(_FREE_BYTES, int(disk.f_blocks * disk.f_frsize * _FREE_SHARE))
