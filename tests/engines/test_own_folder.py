"""What a worker with a folder of its own can still reach: Landlock, tried from inside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import parley

SOURCE = Path(parley.__file__).parents[1]
# Confined, it tries to read each path, and to write one into its folder.
PROGRAM = """
import json, sys
from pathlib import Path
from parley.workers.confine import confine
held = confine(json.loads(sys.argv[1]))
found = {}
for path in sys.argv[2:]:
    try:
        found[path] = Path(path).read_text()
    except OSError as error:
        found[path] = type(error).__name__
try:
    Path("written").write_text("x")
except OSError as error:
    found["written"] = type(error).__name__
print(json.dumps([held.get("own_folder_alone"), found]))
"""


def confined(folder: Path, *paths: Path) -> tuple[bool | None, dict[str, str]]:
    limits = {
        "parent": os.getpid(), "num_files": 64, "file_bytes": 1_000, "address_space_bytes": None, "cpu_seconds": 10,
        "folder": str(folder),
    }  # fmt: skip
    command = [sys.executable, "-c", PROGRAM, json.dumps(limits), *map(str, paths)]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True
    )
    return tuple(json.loads(done.stdout))


def test_g4_a_worker_with_a_folder_reads_its_upload_and_no_neighbours(tmp_path: Path) -> None:
    own, neighbour = tmp_path / "own", tmp_path / "neighbour"
    for folder in (own, neighbour):
        folder.mkdir()
        (folder / "upload").write_text(folder.name)
    (tmp_path / "owner.key").write_text("sk-secret")
    (own / "link").symlink_to(neighbour / "upload")
    asked = [own / "upload", neighbour / "upload", tmp_path / "owner.key", own / "link", Path("/proc/1/environ")]
    is_held, found = confined(own, *asked)
    assert found[str(own / "upload")] == "own"
    # Where the kernel has no Landlock, confine says that it is not held.
    assert is_held == ({found[str(path)] for path in asked[1:]} == {"PermissionError"})
    assert is_held == (found.get("written") == "PermissionError")
