"""What is said into a microphone, as a file: recorded until Ctrl-C, or for some seconds."""

import wave
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from parley.cli.failures import CommandFailed

_SAMPLE_RATE = 16_000
_BLOCK_SAMPLES = _SAMPLE_RATE // 10


def record(path: Path, *, seconds: float | None) -> float:
    """Write what the default microphone hears to a WAV file; how many seconds came. Raises CommandFailed where there is none.

    Ctrl-C ends the recording and no more.
    """
    num_bytes = 0
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_SAMPLE_RATE)
        with suppress(KeyboardInterrupt):
            for block in _up_to(_blocks(), seconds):
                file.writeframes(block)
                num_bytes += len(block)
    return num_bytes / 2 / _SAMPLE_RATE


def _up_to(blocks: Iterable[bytes], seconds: float | None) -> Iterator[bytes]:
    left = None if seconds is None else int(seconds * _SAMPLE_RATE) * 2
    for block in blocks:
        yield block if left is None else block[:left]
        if left is not None:
            left -= len(block)
            if left <= 0:
                return


def _blocks() -> Iterator[bytes]:
    try:
        # Imported here: it wants PortAudio, which a server has no use for.
        import sounddevice  # type: ignore[import-untyped]  # noqa: PLC0415
    except (ImportError, OSError):
        raise CommandFailed(
            "the microphone needs PortAudio, which is not here (apt-get install libportaudio2); "
            "or record to a file and name it"
        ) from None
    try:
        with sounddevice.RawInputStream(samplerate=_SAMPLE_RATE, channels=1, dtype="int16") as stream:
            while True:
                block, _has_overflowed = stream.read(_BLOCK_SAMPLES)
                yield bytes(block)
    except sounddevice.PortAudioError as error:
        raise CommandFailed(f"there is no microphone that can be used: {error}") from None
