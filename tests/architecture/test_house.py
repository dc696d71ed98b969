"""The tree keeps the rules of the house."""

import subprocess
from pathlib import Path

import pytest

from tests.architecture import rules

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "parley"
TREES = [SOURCE, ROOT / "tests", ROOT / "bench", ROOT / "training", ROOT / "scripts"]


def named(tree: Path) -> str:
    return tree.name


@pytest.mark.parametrize("tree", TREES, ids=named)
def test_no_file_is_too_long(tree: Path) -> None:
    assert rules.too_long(tree) == []


@pytest.mark.parametrize("tree", TREES, ids=named)
def test_every_module_says_what_it_is_for(tree: Path) -> None:
    assert rules.without_first_line(tree) == []


def test_names_say_what_they_name() -> None:
    assert rules.banned_names(SOURCE) == []


def test_model_runtimes_stay_in_workers() -> None:
    assert rules.runtime_imports(SOURCE) == []


def test_broad_catches_stand_only_where_a_reason_is_given() -> None:
    assert rules.broad_catches(SOURCE, rules.BROAD_CATCHES) == []


def test_every_broad_catch_has_its_reason() -> None:
    assert all(len(reason) > 20 for reason in rules.BROAD_CATCHES.values())


def test_nothing_names_what_a_reader_cannot_have() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    found: list[str] = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content[:4096]:
            found += rules.forbidden_text(name, content.decode(errors="replace"))
    assert found == []
