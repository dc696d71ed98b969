"""The truth journal: what a fake engine did, line by line, each durable before anybody is told."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


class JournalWriter:
    """Appends; several lives of one worker write one after another."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, entries: Iterable[dict]) -> None:
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        if text:
            os.write(self._file, text.encode())
            os.fdatasync(self._file)


@dataclass
class Truth:
    """A journal, summed up."""

    # Process ids, one for each start.
    starts: list[int] = field(default_factory=list)
    # Round id -> tokens generated in it, over all its sequences.
    tokens: dict[str, int] = field(default_factory=dict)
    # Round id -> how its prompt begins.
    prompts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    # Rounds that were asked for, in order, and those that were aborted, as often as they were.
    begun: list[str] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)

    @property
    def num_tokens(self) -> int:
        return sum(self.tokens.values())


def read_truth(home: Path, model: str) -> Truth:
    """What `model` did so far."""
    truth, path = Truth(), home / f"{model}.journal"
    if not path.exists():
        return truth
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        match entry["did"]:
            case "start":
                truth.starts.append(entry["pid"])
            case "begin":
                truth.begun.append(entry["round"])
                truth.prompts[entry["round"]] = tuple(entry["prompt"])
            case "tokens":
                truth.tokens[entry["round"]] = truth.tokens.get(entry["round"], 0) + entry["count"]
            case "abort":
                truth.aborted.append(entry["round"])
            case "finish":
                truth.finished.append(entry["round"])
    return truth
