"""Two real models on llama.cpp in one server: the bundled one, and one that was made here and added."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.wire import get, post, post_nothing
from tests.gguf_maker import Shape, write_model
from tests.live import LiveServer, engine_pid, running_server

CHAIN = "abcdefgh"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("two")
    path = write_model(folder / "chained.gguf", Shape(chain=CHAIN))
    # Room for the bundled model, or for the other, and not for both.
    settings = {"PARLEY_NUM_SLOTS": "1", "PARLEY_MEMORY_BUDGET_MIB": "300"}
    with running_server(folder, settings) as server:
        assert models(server, "add", str(path)).returncode == 0
        yield server


def models(server: LiveServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`parley models` on this server."""
    command = [sys.executable, "-m", "parley.cli.main", "models", *arguments, "--data", str(server.data)]
    return subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)


def ask(server: LiveServer, model: str) -> str:
    body = {"model": model, "prompt": "a", "max_tokens": 7, "temperature": 0}
    status, reply = post(server, "/v1/completions", body)
    assert status == 200, reply
    return reply["choices"][0]["text"]


def in_memory(server: LiveServer) -> list[str]:
    return [each["weights"] for each in get(server, "/v1/replicas")[1]["data"] if each["residency"] == "loaded"]


def test_each_answers_for_itself_when_they_take_turns_in_memory(both):
    mini = ask(both, "parley-mini")
    assert in_memory(both) == ["parley-mini"]
    assert mini != CHAIN[1:]
    for _ in range(3):
        assert ask(both, "chained") == CHAIN[1:]
        assert [name.partition("-")[0] for name in in_memory(both)] == ["chained"]
        assert ask(both, "parley-mini") == mini
        assert in_memory(both) == ["parley-mini"]


def test_what_a_replica_is_counted_with_is_no_less_than_what_it_takes(both):
    ask(both, "parley-mini")
    counted = next(each["memory_bytes"] for each in get(both, "/v1/replicas")[1]["data"] if each["memory_bytes"])
    rollup = Path(f"/proc/{engine_pid(both)}/smaps_rollup").read_text().splitlines()
    taken = next(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))
    assert taken <= counted


def test_an_operators_unload_ends_the_process(both):
    ask(both, "parley-mini")
    assert post_nothing(both, "/v1/models/parley-mini/unload")[0] == 200
    with pytest.raises(AssertionError, match=r"no worker parley\.workers\.llama"):
        engine_pid(both)
    assert ask(both, "parley-mini")


def test_a_model_in_memory_is_unloaded_before_it_can_be_removed(both, tmp_path):
    path = write_model(tmp_path / "brief.gguf", Shape(seed=9))
    assert models(both, "add", str(path)).returncode == 0
    ask(both, "brief")
    refused = models(both, "remove", "brief")
    assert refused.returncode == 1
    assert "parley models unload brief" in refused.stderr
    assert models(both, "unload", "brief").returncode == 0
    done = models(both, "remove", "brief")
    assert done.returncode == 0, done.stderr
    status, _ = post(both, "/v1/completions", {"model": "brief", "prompt": "a", "max_tokens": 1})
    assert status == 404
    assert ask(both, "chained") == CHAIN[1:]
