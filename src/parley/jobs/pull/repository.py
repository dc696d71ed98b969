"""What a hub says of one revision of a repository: its files, each with the digest that pins it."""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from parley.core.errors import OperatorError

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,199}")
_CHUNK_BYTES = 1 << 22


class PullFailed(OperatorError):
    """What was asked for cannot be pulled. The message is one line for the operator."""


class DigestKind(StrEnum):
    SHA256 = "sha256"
    # What git calls a file of a repository: SHA-1 over a short heading and the content.
    GIT_BLOB = "git-blob"


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file's content must hash to. `value` is in hex, small letters."""

    kind: DigestKind
    value: str

    def matches(self, path: Path) -> bool:
        """Whether the file is the one that was promised; reads it once. Raises OSError."""
        heading = f"blob {path.stat().st_size}\0".encode() if self.kind is DigestKind.GIT_BLOB else b""
        # git's SHA-1 is the only digest that a hub has of a small file; large ones have SHA-256.
        digest = hashlib.sha256() if self.kind is DigestKind.SHA256 else hashlib.sha1(heading, usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest() == self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file to get. `path` is where it stands in its repository; `size` is in bytes."""

    path: str
    url: str
    size: int
    # None where nobody says what the content should be: a URL without --sha256.
    digest: Digest | None
    # The server's name for this very content, where there is no digest; without either, a rest is not asked for.
    etag: str | None = None

    @property
    def key(self) -> str:
        """The same for the same content, and a name that a file may have."""
        if self.digest is not None:
            return f"{self.digest.kind}-{self.digest.value}"
        return "url-" + hashlib.sha256(f"{self.url}\n{self.etag}\n{self.size}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One revision, pinned: `commit` never means anything else."""

    name: str
    commit: str
    files: tuple[RemoteFile, ...]
    # As its maker states it; "" where nothing is said.
    licence: str = ""


def is_safe_path(path: str) -> bool:
    """Whether a hub's word for a file can be one here: no way up, no root, nothing that a shell or a terminal obeys."""
    return len(path) <= 500 and all(_PART.fullmatch(part) for part in path.split("/"))
