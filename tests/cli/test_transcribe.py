"""`parley transcribe`: what it sends, and what it writes while a recording is heard, or when one cannot be."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parley.cli.commands import parley
from tests.cli.fake_server import FakeServer, fake_server


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    file = tmp_path / "clip.wav"
    file.write_bytes(b"RIFF")
    return file


def run(server: FakeServer, *arguments: object) -> Result:
    common = ["--url", server.url, "--key", "sk-a-key-of-the-tests"]
    return CliRunner().invoke(parley, ["transcribe", *map(str, arguments), *common])


def test_the_words_are_written_while_they_are_heard(server: FakeServer, clip: Path) -> None:
    server.say_heard("Four score", " and seven years ago")
    done = run(server, clip, "--language", "en")
    assert (done.exit_code, done.stdout) == (0, "Four score and seven years ago\n")
    wanted = {"model": "whisper-1", "response_format": "json", "language": "en", "stream": "true", "file": b"RIFF"}
    assert server.requests == [wanted]


def test_what_was_heard_before_the_answer_broke_off_is_written_and_the_command_fails(
    server: FakeServer, clip: Path
) -> None:
    server.say_heard("Four score", is_whole=False)
    done = run(server, clip)
    assert (done.exit_code, done.stdout) == (1, "Four score")
    assert "the answer ended before it was complete" in done.stderr


def test_a_file_that_cannot_be_read_keeps_no_other_from_being_written_down(server: FakeServer, clip: Path) -> None:
    server.say_heard("Four score")
    done = run(server, clip.parent / "none.wav", clip.parent, clip)
    assert (done.exit_code, done.stdout) == (1, "Four score\n")
    assert "none.wav cannot be read: No such file" in done.stderr
    assert f"{clip.parent} cannot be read: Is a directory" in done.stderr


def test_a_text_that_cannot_be_written_beside_its_file_says_so(server: FakeServer, clip: Path) -> None:
    clip.with_suffix(".srt").mkdir()
    server.frames = [b"1\n"]
    done = run(server, clip, "--format", "srt", "--beside")
    assert done.exit_code == 1
    assert "clip.srt cannot be written: Is a directory" in done.stderr


def test_without_a_server_the_first_file_is_the_last_that_is_tried(clip: Path) -> None:
    done = CliRunner().invoke(
        parley, ["transcribe", str(clip), str(clip), "--url", "http://127.0.0.1:9", "--key", "sk-none"]
    )
    assert done.exit_code == 3
    assert done.stderr.count("clip.wav") == 1
