"""`parley complete` and `parley chat`: what they send, what they write, and how they fail."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parley.cli.commands import parley
from tests.cli.fake_server import FakeServer, fake_server

KEY = "sk-a-key-of-the-tests"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(parley, arguments, input=text)


def test_complete_writes_the_text_and_nothing_else(server: FakeServer) -> None:
    server.say("\n\nThis is", " a test", "")
    done = run(
        "complete", "Say this is a test", "--max-tokens", "7", "--temperature", "0", "--url", server.url, "--key", KEY
    )
    assert (done.exit_code, done.stdout) == (0, "\n\nThis is a test\n")
    assert server.requests == [
        {
            "model": "text-davinci-003",
            "prompt": "Say this is a test",
            "max_tokens": 7,
            "temperature": 0.0,
            "stream": True,
        }
    ]
    assert server.authorizations == [f"Bearer {KEY}"]


def test_complete_reads_its_prompt_from_standard_input(server: FakeServer) -> None:
    server.say("fine")
    run("complete", "-", "--url", server.url, "--key", KEY, text="How are you?\n")
    assert server.requests[0]["prompt"] == "How are you?\n"


def test_chat_sends_the_whole_conversation_with_each_turn(server: FakeServer) -> None:
    server.say("Hel", "lo.")
    done = run("chat", "--system", "Be brief.", "--url", server.url, "--key", KEY, text="Hi\nAgain\n/exit\nnever\n")
    assert done.exit_code == 0
    assert done.stdout == "Hello.\nHello.\n"
    assert server.requests[1]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Again"},
    ]
    assert len(server.requests) == 2


def test_chat_says_once_what_really_answers(server: FakeServer) -> None:
    server.say("x")
    done = run("chat", "--model", "gpt-4", "--url", server.url, "--key", KEY, text="a\nb\n")
    assert done.stderr.count("gpt-4 is answered by fake-weights") == 1


def test_chat_does_not_send_a_command_that_it_does_not_know(server: FakeServer) -> None:
    server.say("x")
    done = run("chat", "--url", server.url, "--key", KEY, text="/help me\nHi\n")
    assert "no such command: /help; there are /exit and /new\n" in done.stderr
    assert [request["messages"] for request in server.requests] == [[{"role": "user", "content": "Hi"}]]


def test_chat_can_begin_anew(server: FakeServer) -> None:
    server.say("x")
    run("chat", "--url", server.url, "--key", KEY, text="one\n/new\ntwo\n")
    assert server.requests[1]["messages"] == [{"role": "user", "content": "two"}]


def test_ctrl_c_stops_the_answer_and_not_the_conversation(server: FakeServer) -> None:
    server.say("half an ans", ending=b"")
    server.is_stalling = True
    command = [sys.executable, "-m", "parley.cli.main", "chat", "--url", server.url, "--key", KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as chat:
        chat.stdin.write(b"Hi\n")
        chat.stdin.flush()
        assert chat.stdout.read(len("half an ans")) == b"half an ans"
        chat.send_signal(signal.SIGINT)
        server.say("whole")
        _, errors = chat.communicate(b"Again\n", timeout=30)
    assert chat.returncode == 0
    assert b"(stopped)" in errors
    assert b"Traceback" not in errors
    assert server.num_left == 1
    assert server.requests[1]["messages"][1] == {"role": "assistant", "content": "half an ans"}


def test_ctrl_c_ends_a_completion_with_130(server: FakeServer) -> None:
    server.say("half", ending=b"")
    server.is_stalling = True
    command = [sys.executable, "-m", "parley.cli.main", "complete", "x", "--url", server.url, "--key", KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.read(4) == b"half"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == b""


@pytest.mark.parametrize("command", [["complete", "x"], ["chat"]])
def test_a_refusal_is_the_servers_sentence_with_its_request(server: FakeServer, command: list[str]) -> None:
    server.status = 404
    done = run(*command, "--url", server.url, "--key", KEY, text="x\n")
    assert done.exit_code == 1
    assert done.stderr == "parley: The model `x` does not exist. (req_1)\n"


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (b'data: {"error": {"message": "The engine died."}}\n\n', "The engine died."),
        (b"", "before it was complete"),
        (b"data: <html>\n\n", "not JSON"),
    ],
)
def test_a_stream_that_fails_midway_is_a_failure(server: FakeServer, ending: bytes, said: str) -> None:
    server.say("half", ending=ending)
    done = run("complete", "x", "--url", server.url, "--key", KEY)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stdout.startswith("half")


def test_no_server_is_exit_code_3_and_says_how_to_start_one(tmp_path: Path) -> None:
    done = run("complete", "x", "--url", "http://127.0.0.1:9", "--key", KEY)
    assert done.exit_code == 3
    assert done.stderr == (
        "parley: no server answers at http://127.0.0.1:9; start one with `parley serve`, or name it with --url or PARLEY_URL; "
        "if the server runs on another data folder, name it with --data or PARLEY_DATA\n"
    )


def test_server_and_key_are_found_by_flag_then_environment_then_data_folder(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say("x")
    monkeypatch.setenv("PARLEY_DATA", str(tmp_path))
    (tmp_path / "owner.key").write_text("sk-from-the-file\n")
    host, port = server.url.removeprefix("http://").split(":")
    (tmp_path / "parley.toml").write_text(f'host = "{host}"\nport = {port}\n')
    run("complete", "x")
    monkeypatch.setenv("PARLEY_API_KEY", "sk-from-the-environment")
    monkeypatch.setenv("PARLEY_URL", server.url + "/v1")
    run("complete", "x")
    run("complete", "x", "--key", "sk-from-the-flag")
    assert server.authorizations == [
        "Bearer sk-from-the-file",
        "Bearer sk-from-the-environment",
        "Bearer sk-from-the-flag",
    ]


def test_without_a_key_it_is_said_where_one_was_looked_for(tmp_path: Path) -> None:
    done = run("complete", "x", "--url", "http://127.0.0.1:9", "--data", str(tmp_path / "nowhere"))
    assert done.exit_code == 1
    assert str(tmp_path / "nowhere" / "owner.key") in done.stderr
    assert "--key" in done.stderr
    assert "name it with --data or PARLEY_DATA" in done.stderr


def test_a_url_without_its_scheme_is_said_so() -> None:
    done = run("complete", "x", "--url", "127.0.0.1:8333", "--key", KEY)
    assert done.exit_code == 1
    assert done.stderr == "parley: 127.0.0.1:8333 is no URL; begin the URL with http://\n"
