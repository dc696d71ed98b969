"""`parley run`: pull, load and chat in one command, with a server of its own or the one that runs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders_pull import FakeHub, fake_hub
from tests.gguf_maker import Shape, model_bytes
from tests.live import running_server

MODEL = model_bytes(Shape(context_length=2048))


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub({"o/tiny-GGUF": {"tiny-Q4_K_M.gguf": MODEL}}) as hub:
        yield hub


def talk(hub: FakeHub, folder: Path, model: str, *lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "parley.cli.main", "run", model],
        env=os.environ | {"PARLEY_HUB_ENDPOINT": hub.url, "PARLEY_DATA": str(folder)},
        input="".join(line + "\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def processes_on(folder: Path) -> list[str]:
    """Command lines of living processes that name this data folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(b" ".join(words).decode())
    return found


def test_from_nothing_a_model_is_pulled_loaded_and_talked_to_and_no_server_stays(hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    done = talk(hub, folder, "o/tiny-GGUF", "Hi")
    assert done.returncode == 0, done.stderr
    assert "(tiny-Q4_K_M is answered by tiny-Q4_K_M-" in done.stderr
    assert "Traceback" not in done.stderr
    assert processes_on(folder) == []
    assert not (folder / "control.sock").exists()
    # A second time nobody is asked for anything.
    hub.requests.clear()
    again = talk(hub, folder, "o/tiny-GGUF:Q4_K_M", "Hi")
    assert again.returncode == 0, again.stderr
    assert hub.requests == []


def test_the_bundled_model_needs_no_hub(hub: FakeHub, tmp_path: Path) -> None:
    done = talk(hub, tmp_path / "d", "parley-mini", "What is 1+1?")
    assert done.returncode == 0, done.stderr
    assert "1 + 1" in done.stdout
    assert hub.requests == []


def test_the_server_that_runs_is_talked_to_and_goes_on_running(hub: FakeHub, tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        done = talk(hub, server.data, "parley-mini", "What is 1+1?")
        assert done.returncode == 0, done.stderr
        assert "1 + 1" in done.stdout
        assert server.process.poll() is None
        # It is in that server's memory now.
        refused = subprocess.run(
            [sys.executable, "-m", "parley.cli.main", "models", "remove", "parley-mini", "--data", str(server.data)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert refused.returncode == 1


def test_a_model_that_nobody_knows_starts_no_server(hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    done = talk(hub, folder, "nonsense", "Hi")
    assert done.returncode == 1
    assert "'nonsense' is none of the recommended models" in done.stderr
    assert processes_on(folder) == []


def test_a_conversation_that_is_ended_by_sigterm_leaves_no_server(hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    process = subprocess.Popen(
        [sys.executable, "-m", "parley.cli.main", "run", "parley-mini"],
        env=os.environ | {"PARLEY_HUB_ENDPOINT": hub.url, "PARLEY_DATA": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        process.stdin.write("What is 1+1?\n")
        process.stdin.flush()
        assert "1 + 1" in process.stdout.readline()
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert processes_on(folder) == []
