"""`parley transcribe --microphone`, with a sounddevice of ours in the place of the real one."""

import sys
import wave
from pathlib import Path

import pytest
from click.testing import CliRunner

from parley.cli.commands import parley
from parley.cli.failures import CommandFailed
from parley.cli.microphone import record

# Each block that is read counts the samples of the one before; the third is Ctrl-C.
SOUNDDEVICE = """
class PortAudioError(Exception):
    pass

class RawInputStream:
    def __init__(self, samplerate, channels, dtype):
        if {is_deaf}:
            raise PortAudioError("no default input device")
        assert (samplerate, channels, dtype) == (16000, 1, "int16")
        self.num_read = 0
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass
    def read(self, count):
        self.num_read += 1
        if self.num_read == 3:
            raise KeyboardInterrupt
        return bytes([self.num_read, 0]) * count, False
"""


@pytest.fixture
def sounddevice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    file = folder / "sounddevice.py"
    file.write_text(SOUNDDEVICE.format(is_deaf=False))
    yield file
    sys.modules.pop("sounddevice", None)


def samples(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return file.readframes(file.getnframes())


def test_ctrl_c_ends_the_recording_and_what_came_is_kept(sounddevice: Path, tmp_path: Path) -> None:
    assert record(tmp_path / "a.wav", seconds=None) == pytest.approx(0.2)
    assert samples(tmp_path / "a.wav") == b"\x01\x00" * 1_600 + b"\x02\x00" * 1_600


def test_a_recording_ends_by_itself_when_it_was_told_to(sounddevice: Path, tmp_path: Path) -> None:
    assert record(tmp_path / "a.wav", seconds=0.15) == pytest.approx(0.15)
    assert samples(tmp_path / "a.wav") == b"\x01\x00" * 1_600 + b"\x02\x00" * 800


def test_without_a_microphone_it_says_so(sounddevice: Path, tmp_path: Path) -> None:
    sounddevice.write_text(SOUNDDEVICE.format(is_deaf=True))
    with pytest.raises(CommandFailed, match="no default input device"):
        record(tmp_path / "a.wav", seconds=1.0)


def test_without_portaudio_it_says_what_to_install(sounddevice: Path, tmp_path: Path) -> None:
    sounddevice.write_text('raise OSError("PortAudio library not found")')
    with pytest.raises(CommandFailed, match="apt-get install libportaudio2"):
        record(tmp_path / "a.wav", seconds=1.0)


@pytest.mark.parametrize(
    "arguments", [[], ["a.wav", "--microphone"], ["a.wav", "--seconds", "3"], ["--microphone", "--beside"]]
)
def test_files_and_the_microphone_exclude_each_other(arguments: list[str]) -> None:
    done = CliRunner().invoke(parley, ["transcribe", *arguments])
    assert (done.exit_code, "not both" in done.output) == (2, True)
