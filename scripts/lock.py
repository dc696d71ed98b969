"""Writes requirements.lock: one universal, hashed resolution of everything, cut into the sections that make installs.

Run it by hand after changing a dependency, with `uv` on the path: `python scripts/lock.py`. It also writes the second
lock, of the client of 2023, which cannot share an environment with today's.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
CLIENT_2023 = ROOT / "tests" / "tutorials" / "openai-2023.in"

# Section -> what uv is asked for beside the project's own dependencies. A package stands in the first section that needs it.
SECTIONS: dict[str, list[str]] = {
    "serve": ["--group", "build"],
    "test": ["--group", "test"],
    "check": ["--group", "check"],
    "train": ["--extra", "train"],
    "native": ["--group", "native"],
}

# Pinned in pyproject.toml, not hashed: which build of it is right (CPU, CUDA) depends on the machine.
UNLOCKED = "torch"

HEAD = """\
# Every package that Parley installs, with the hashes of its files. Written by scripts/lock.py; do not edit.
# `make` installs section by section (scripts/environment.sh): serve runs, test and check add to it, train is for training/, native for `make native`.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One package of a compiled file: its lines as uv wrote them."""

    name: str
    text: str


def compiled(source: Path, *options: str) -> list[Entry]:
    """The entries that uv resolves for `source`, for every platform and every Python that the project supports."""
    command = ["uv", "pip", "compile", str(source), "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-emit-package", UNLOCKED, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT)  # noqa: S603 - our own words
    entries = re.split(r"^(?=[A-Za-z0-9])", done.stdout, flags=re.MULTILINE)
    return [_entry(text) for text in entries if text.strip()]


def _entry(text: str) -> Entry:
    name = re.match(r"[A-Za-z0-9._-]+", text)
    if name is None:
        raise SystemExit(f"uv wrote a line that names no package: {text[:60]!r}")
    return Entry(name.group(), text)


def sections() -> dict[str, list[Entry]]:
    """Every entry of the one resolution under the first section that needs it."""
    project = ROOT / "pyproject.toml"
    everything = compiled(project, *[word for words in SECTIONS.values() for word in words])
    pins = ROOT / "build" / "everything.txt"
    pins.parent.mkdir(exist_ok=True)
    pins.write_text("".join(entry.text for entry in everything))
    placed: dict[str, list[Entry]] = {}
    rest = everything
    for section, options in SECTIONS.items():
        wanted = {entry.name for entry in compiled(project, *options, "--constraints", str(pins))}
        placed[section] = [entry for entry in rest if entry.name in wanted]
        rest = [entry for entry in rest if entry.name not in wanted]
    return placed


def main() -> None:
    written = [HEAD]
    for section, entries in sections().items():
        written.append(f"\n#: section {section}\n" + "".join(entry.text for entry in entries))
        sys.stdout.write(f"{section}: {len(entries)} packages\n")
    LOCK.write_text("".join(written))
    client = "".join(entry.text for entry in compiled(CLIENT_2023))
    CLIENT_2023.with_suffix(".lock").write_text("# Written by scripts/lock.py; do not edit.\n" + client)


if __name__ == "__main__":
    main()
