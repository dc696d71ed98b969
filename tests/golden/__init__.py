"""Replies that must not change, as JSON files, and the one way to compare with them."""

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def written(value: Any) -> str:
    """JSON with sorted keys, as the files have it."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def golden(name: str) -> str:
    """The text of a file, by its path below this folder without `.json`."""
    return (_FOLDER / f"{name}.json").read_text(encoding="utf-8")


def names(folder: str) -> set[str]:
    """The names of all files in a folder."""
    return {path.stem for path in (_FOLDER / folder).glob("*.json")}
