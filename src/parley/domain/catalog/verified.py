"""Hashes of weights files and folders, remembered as long as the files' size and time of change stay the same."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from parley.infra.folder import write_private


class VerifiedFiles:
    """A small JSON file: path -> size, time of change, SHA-256. Losing it costs one more reading of each file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def sha256(self, path: Path) -> str:
        """The SHA-256 of a file, or that of a folder's names and files' hashes, in hex. Raises OSError."""
        if path.is_dir():
            return hash_of_hashes({file.name: self.sha256(file) for file in path.iterdir()})
        stat = path.stat()
        # The inode and the change time are in it because a file can be swapped for one of the same size and mtime.
        identity = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        known = self._read()
        entry = known.get(str(path))
        if isinstance(entry, dict) and entry.get("identity") == identity and isinstance(entry.get("sha256"), str):
            return str(entry["sha256"])
        digest = hash_file(path)
        known[str(path)] = {"identity": identity, "sha256": digest}
        # A folder that cannot be written costs one more reading the next time, and nothing else.
        with suppress(OSError):
            write_private(self._file, json.dumps(known, indent=1) + "\n")
        return digest

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def hash_file(path: Path) -> str:
    """The SHA-256 of a file, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_of_hashes(files: Mapping[str, str]) -> str:
    """The hash of a folder, from those of its files by name."""
    return hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()
