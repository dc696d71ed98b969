"""Uploaded files: each in a private folder of its own, under a name that its sender had no part in, until it is closed."""

import hashlib
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Self

from parley.core.speech import Recording
from parley.infra.storage import StorageWatch, refusing_without_room

_FILE_NAME = "upload"


class Upload:
    """One file while it is written, and until `close`, which removes it. All of it blocks: write off the loop.

    Raises Overloaded where the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digest = hashlib.sha256()
        self._num_bytes = 0
        with refusing_without_room():
            folder.mkdir(mode=0o700)
            descriptor = os.open(folder / _FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb")

    def write(self, part: bytes) -> None:
        """Append."""
        self._digest.update(part)
        self._num_bytes += len(part)
        with refusing_without_room():
            self._file.write(part)

    def finish(self) -> Recording:
        """The file, whole. Nothing is written after that."""
        with refusing_without_room():
            self._file.close()
        return Recording(path=self._folder / _FILE_NAME, num_bytes=self._num_bytes, sha256=self._digest.hexdigest())

    def close(self) -> None:
        """Remove the file and its folder. Any number of times."""
        # What a full disk did not take is tried once more here, and nobody wants it.
        with suppress(OSError):
            self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class Uploads:
    """The folder of all uploads. What a process that died left there is removed when the next one begins.

    Without `storage`, whether there is room is seen when it is written.
    """

    def __init__(self, folder: Path, storage: StorageWatch | None = None) -> None:
        self._folder = folder
        self._storage = storage

    def sweep(self) -> Self:
        """Make the folder, empty. Before anything is uploaded."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def begin(self) -> Upload:
        """A new file. Whoever begins it closes it. Raises Overloaded where there is no room."""
        if self._storage is not None:
            self._storage.check()
        return Upload(self._folder / secrets.token_hex(16))
