"""Finds keys of ours in a tree of files."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from parley.domain.accounts.key_shape import find_secrets

_PORTION_BYTES = 1 << 20
# Longer than a key, so that one that lies across two portions is whole in the second.
_OVERLAP_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKey:
    """A key in a file; `line` counts from 1."""

    path: Path
    line: int
    secret: str


def found_keys(root: Path, unread: list[Path] | None = None) -> Iterator[FoundKey]:
    """Every key in the files under `root`, or in the file `root`. Links below it are not followed.

    What cannot be read is passed over, and added to `unread`.
    """
    unread = [] if unread is None else unread
    if root.is_file():
        yield from _in_file(root, unread)
        return
    for folder, folders, names in os.walk(root, onerror=lambda error: _note(error, Path(error.filename), unread)):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if _is_regular(path, unread):
                yield from _in_file(path, unread)


def _is_regular(path: Path, unread: list[Path]) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError as error:
        # A folder may be listed and not entered.
        _note(error, path, unread)
        return False


def _in_file(path: Path, unread: list[Path]) -> Iterator[FoundKey]:
    try:
        with path.open("rb") as file:
            yield from _in_portions(path, iter(lambda: file.read(_PORTION_BYTES), b""))
    except OSError as error:
        _note(error, path, unread)


def _note(error: OSError, path: Path, unread: list[Path]) -> None:
    """What is gone since it was listed holds nothing."""
    if not isinstance(error, FileNotFoundError):
        unread.append(path)


def _in_portions(path: Path, portions: Iterable[bytes]) -> Iterator[FoundKey]:
    """Look at each portion together with the end of the one before it."""
    before, start, num_lines, told = "", 0, 1, -1
    for portion in portions:
        # Without zeros, a wide character of a key is as a narrow one.
        text = before + portion.replace(b"\0", b"").decode("latin-1")
        for offset, secret in find_secrets(text):
            if start + offset > told:
                told = start + offset
                yield FoundKey(path=path, line=num_lines + text.count("\n", 0, offset), secret=secret)
        before = text[-_OVERLAP_BYTES:]
        num_lines += text.count("\n", 0, len(text) - len(before))
        start += len(text) - len(before)
