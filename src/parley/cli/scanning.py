"""Finds keys of ours in a tree of files."""

import os
from collections.abc import Iterator
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


def found_keys(root: Path) -> Iterator[FoundKey]:
    """Every key in the files under `root`, or in the file `root`. Links are not followed; what cannot be read is passed over."""
    if root.is_file():
        yield from _in_file(root)
        return
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield from _in_file(path)


def _in_file(path: Path) -> Iterator[FoundKey]:
    try:
        with path.open("rb") as file:
            yield from _in_portions(path, iter(lambda: file.read(_PORTION_BYTES), b""))
    except OSError:
        return


def _in_portions(path: Path, portions: Iterator[bytes]) -> Iterator[FoundKey]:
    """Look at each portion together with the end of the one before it."""
    before, start, num_lines, told = "", 0, 1, -1
    portion = next(portions, b"")
    while portion:
        following = next(portions, b"")
        text = before + portion.decode("latin-1")
        for offset, secret in find_secrets(text):
            # Whether a word goes on beyond either end of the text is seen in the portion that has it whole.
            is_cut = (offset == 0 and start > 0) or (offset + len(secret) == len(text) and following)
            if not is_cut and start + offset > told:
                told = start + offset
                yield FoundKey(path=path, line=num_lines + text.count("\n", 0, offset), secret=secret)
        before = text[-_OVERLAP_BYTES:]
        num_lines += text.count("\n", 0, len(text) - len(before))
        start += len(text) - len(before)
        portion = following
