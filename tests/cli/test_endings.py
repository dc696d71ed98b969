"""How every command ends when it is interrupted or its input or output fails: an exit code and at most one line, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parley.cli import audit, outbox, usage
from parley.cli.keys import command as keys
from tests.cli.fake_server import fake_server

# Ctrl-C comes while this module is imported; of the last, when somebody is asked for the next thing to say.
INTERRUPTED_AT = ("parley.cli.commands", "parley.cli.usage", "parley.operations.usage_reading", "input")
INTERRUPTS = """
import builtins, signal, sys
from parley.cli.main import main

place, *sys.argv[1:] = sys.argv[1:]

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == place:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
builtins.input = lambda _: signal.raise_signal(signal.SIGINT)
main()
"""


def run(command, *words: str, folder: Path) -> Result:
    return CliRunner().invoke(command, [*words, "--data", str(folder)])


def ended(
    *words: str, given: bytes = b"", output: int = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "parley.cli.main", *words],
        input=given,
        stdout=output,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        env=os.environ | variables,
    )


@pytest.mark.parametrize("place", INTERRUPTED_AT)
def test_ctrl_c_is_130_and_no_word_wherever_it_comes(place: str, tmp_path: Path) -> None:
    chat = ("chat", "--url", "http://127.0.0.1:9", "--key", "k")
    words = chat if place == "input" else ("usage", "--data", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTS, place, *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
@pytest.mark.parametrize("command", [("chat",), ("complete", "-")], ids=["chat", "complete"])
def test_what_is_no_text_is_refused_in_one_line_and_not_sent(command: tuple[str, ...], errors: str) -> None:
    with fake_server() as server:
        given = "Grüße\n".encode("latin-1")
        done = ended(*command, "--url", server.url, "--key", "k", given=given, PYTHONIOENCODING=f"utf-8:{errors}")
        assert (done.returncode, done.stderr) == (1, b"parley: the text is not valid UTF-8\n")
        assert server.requests == []


def test_text_of_every_alphabet_is_sent_as_it_was_given() -> None:
    with fake_server() as server:
        server.say("fine")
        done = ended("complete", "-", "--url", server.url, "--key", "k", given="你好 ü 😀".encode())
        assert done.returncode == 0
        assert [request["prompt"] for request in server.requests] == ["你好 ü 😀"]


def test_a_name_that_the_terminal_cannot_write_is_escaped(folder: Path) -> None:
    data = ("--data", str(folder))
    assert ended("orgs", "create", "Müller 你好", *data).returncode == 0
    listed = ended("orgs", "list", *data, PYTHONIOENCODING="latin-1")
    assert (listed.returncode, listed.stderr) == (0, b"")
    assert "Müller \\u4f60\\u597d" in listed.stdout.decode("latin-1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("words", ["usage", "models list", "doctor", "--help", "ledger export"])
def test_a_full_disk_behind_the_output_is_one_line(folder: Path, words: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = ended(*words.split(), output=full.fileno(), PARLEY_DATA=str(folder))
    assert done.returncode == 1
    assert done.stderr == (b"parley: a file cannot be written (No space left on device): make room on its disk\n")


def test_an_outbox_that_cannot_be_read_is_not_called_empty(folder: Path) -> None:
    # The rights of a folder say nothing to root, who runs the tests here and there.
    (folder / "outbox").write_bytes(b"")
    shown = run(outbox.command, folder=folder)
    assert (shown.exit_code, shown.stderr) == (1, f"parley: {folder / 'outbox'} cannot be read: Not a directory\n")


def test_a_folder_of_another_user_is_said_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("parley.cli.state.ask", refuse)
    shown = run(keys, "list", folder=folder)
    assert (shown.exit_code, shown.stderr) == (1, f"parley: {folder} belongs to another user\n")


@pytest.mark.parametrize("command", [usage.command, audit.command], ids=["usage", "audit"])
@pytest.mark.parametrize("form", [(), ("--csv",), ("--json",)], ids="".join)
def test_an_organization_that_is_not_there_is_said_so(folder: Path, command, form: tuple[str, ...]) -> None:
    shown = run(command, "--org", "org-typo", *form, folder=folder)
    assert (shown.exit_code, shown.stdout, shown.stderr) == (1, "", "parley: No such organization.\n")


@pytest.mark.parametrize("command", [usage.command, audit.command], ids=["usage", "audit"])
@pytest.mark.parametrize("forms", [("--csv", "--json"), ("--json", "--csv")], ids="".join)
def test_one_form_of_a_file_can_be_had_at_once(folder: Path, command, forms: tuple[str, ...]) -> None:
    shown = run(command, *forms, folder=folder)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert "--csv and --json exclude each other" in shown.stderr


def test_a_setting_that_was_typed_wrong_is_wrong_usage(tmp_path: Path) -> None:
    done = ended("serve", "--port", "99999", "--data", str(tmp_path / "d"))
    assert done.returncode == 2
    assert b"Error: --port: " in done.stderr
    assert ended("serve", "--data", str(tmp_path / "d"), PARLEY_PORT="99999").returncode == 1
