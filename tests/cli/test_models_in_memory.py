"""`parley models ps`, `load` and `unload`: what they ask the server, what they write, and how they fail."""

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from parley.cli.commands import parley
from tests.cli.fake_server import FakeServer, fake_server

KEY = "sk-a-key-of-the-tests"
REPLICA = {
    "object": "replica",
    "weights": "alpha-1",
    "residency": "loaded",
    "memory_bytes": 300 << 20,
    "num_slots": 8,
    "num_free_slots": 5,
    "num_waiting": 2,
    "idle_seconds": None,
    "keep_alive_seconds": None,
    "is_pinned": False,
}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


def run(server: FakeServer, *arguments: str) -> Result:
    return CliRunner().invoke(parley, ["models", *arguments, "--url", server.url, "--key", KEY])


def test_ps_shows_what_is_in_memory_and_when_it_leaves(server: FakeServer) -> None:
    idle = {"weights": "beta", "num_free_slots": 8, "num_waiting": 0, "idle_seconds": 12.3, "keep_alive_seconds": 60.0}
    pinned = {"weights": "gamma", "residency": "unloaded", "memory_bytes": 0, "is_pinned": True}
    server.answer_json = {"data": [REPLICA, REPLICA | idle, REPLICA | pinned], "memory_budget_bytes": 4096 << 20}
    done = run(server, "ps")
    assert done.exit_code == 0
    heading, alpha, beta, gamma, budget = done.stdout.splitlines()
    assert heading.split() == ["WEIGHTS", "STATE", "MEMORY", "RUNNING", "WAITING", "IDLE", "LEAVES"]
    assert " ".join(alpha.split()) == "alpha-1 loaded 300 MiB 3 of 8 2 when room is needed"
    assert " ".join(beta.split()) == "beta loaded 300 MiB 0 of 8 0 12 s after 60 s of idling"
    assert " ".join(gamma.split()) == "gamma unloaded 3 of 8 2 never (pinned)"
    assert budget == "4,096 MiB for all models together"
    assert (server.calls, server.authorizations) == (["GET /v1/replicas"], [f"Bearer {KEY}"])


def test_load_and_unload_name_the_model_and_say_what_happened(server: FakeServer) -> None:
    server.answer_json = REPLICA
    assert run(server, "load", "alpha").stdout == "alpha-1 is loaded; it takes about 300 MiB\n"
    assert run(server, "unload", "alpha").stdout == "alpha-1 is not in memory\n"
    assert server.calls == ["POST /v1/models/alpha/load", "POST /v1/models/alpha/unload"]


def test_a_name_cannot_become_a_path_of_its_own(server: FakeServer) -> None:
    server.answer_json = REPLICA
    run(server, "load", "../../keys?x=1")
    assert [call.count("/") for call in server.calls] == [4]
    assert server.calls[0].startswith("POST /v1/models/..%2F..%2Fkeys%3F")


@pytest.mark.parametrize("command", [("ps",), ("load", "x"), ("unload", "x")])
def test_a_refusal_is_one_line(server: FakeServer, command: tuple[str, ...]) -> None:
    server.status = 409
    done = run(server, *command)
    assert done.exit_code == 1
    assert done.stderr == "parley: The model `x` does not exist.\n"


def test_an_answer_of_another_program_is_said_to_be_one(server: FakeServer) -> None:
    server.answer_json = [1]
    done = run(server, "ps")
    assert (done.exit_code, done.stderr) == (1, "parley: the server sent something that is no answer; is it Parley?\n")


def test_no_server_has_an_exit_code_of_its_own() -> None:
    done = CliRunner().invoke(parley, ["models", "ps", "--url", "http://127.0.0.1:9", "--key", KEY])
    assert done.exit_code == 3
    assert "no server answers at http://127.0.0.1:9" in done.stderr
