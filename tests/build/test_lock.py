"""What the lock promises: every package by hash, and none older than the version that mended a known fault."""

import re
from pathlib import Path

import pytest
from packaging.version import Version

LOCK = Path(__file__).parents[2] / "requirements.lock"
# The first versions without faults that were published; a package counts once it is in the lock.
FLOORS = {
    "starlette": "1.0.1",
    "python-multipart": "0.0.30",
    "pillow": "12.3.0",
    "orjson": "3.11.6",
    "jinja2": "3.1.6",
    "vllm": "0.30.0",
    "ray": "2.52.0",
}


def entries() -> dict[str, tuple[str, str]]:
    """Package -> its version and the rest of its lines."""
    found = re.findall(r"^([a-z0-9._-]+)==(\S+)(.*?)(?=^\S|\Z)", LOCK.read_text(), re.MULTILINE | re.DOTALL)
    return {name: (version, rest) for name, version, rest in found}


def test_l7_every_package_of_the_lock_is_pinned_by_hash() -> None:
    locked = entries()
    assert len(locked) > 30
    assert [name for name, (_, rest) in locked.items() if "--hash=sha256:" not in rest] == []


@pytest.mark.parametrize(("name", "floor"), [(name, floor) for name, floor in FLOORS.items() if name in entries()])
def test_l7_no_package_is_older_than_its_mended_version(name: str, floor: str) -> None:
    assert Version(entries()[name][0]) >= Version(floor)


def test_l7_the_http_framework_is_among_those_that_are_looked_at() -> None:
    assert "starlette" in entries()
