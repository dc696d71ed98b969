"""Recordings, a speech engine and a decoder for tests: made in a line, without a model and without a child."""

import wave
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import av
import numpy as np

from parley.core.errors import EngineDied, EngineFailed, InvalidRequest
from parley.core.price import FREE, Price
from parley.core.snapshot import Capability, EngineKind, Snapshot, SpeechAbilities, Weights
from parley.core.speech import (
    BYTES_PER_SECOND,
    SAMPLE_RATE,
    Heard,
    HeardSegment,
    Hearing,
    HearingEvent,
    Recording,
    Task,
    TranscriptFinished,
    TranscriptionRequest,
)

INAUGURAL = Path(__file__).parent / "audio" / "inaugural.flac"
SPHINX = Weights(
    name="sphinx",
    engine=EngineKind.SPHINX,
    path=None,
    sha256=None,
    context_length=0,
    template="plain",
    speech=SpeechAbilities(
        languages=frozenset({"en"}), can_translate=False, takes_prompt=False, takes_temperature=False
    ),
)
RECORDING = Recording(path=Path("/nowhere/upload"), num_bytes=40_000, sha256="ab")


def speech_snapshot(weights: Weights | None = SPHINX, *, price: Price = FREE, can_translate: bool = False) -> Snapshot:
    translates = {Capability.TRANSLATE} if can_translate else set()
    return Snapshot(
        name="whisper-1",
        family="whisper",
        weights=weights,
        promised_context_length=0,
        capabilities=frozenset({Capability.TRANSCRIBE, *translates}),
        price=price,
        created=0,
    )


def transcription(*, task: Task = Task.TRANSCRIBE, is_stream: bool = False, **hearing: object) -> TranscriptionRequest:
    return TranscriptionRequest(
        model="whisper-1",
        endpoint=f"/v1/audio/{'transcriptions' if task is Task.TRANSCRIBE else 'translations'}",
        recording=RECORDING,
        hearing=Hearing(task=task, **hearing),
        is_stream=is_stream,
    )


class FakeDecoder:
    """A recording of `seconds` whose container claims `claimed`; `broken_after` windows it breaks off."""

    max_seconds = 14_400.0

    def __init__(self, *, seconds: float = 11.0, claimed: float | None = None, broken_after: int | None = None) -> None:
        self._seconds = seconds
        self._claimed = claimed
        self._broken_after = broken_after
        self.num_windows = 0
        self.num_open = 0

    async def probe(self, recording: Recording) -> float | None:
        if self._broken_after == 0:
            raise InvalidRequest("Audio file might be corrupted or unsupported", param="file")
        return self._claimed

    async def decode(self, recording: Recording) -> AsyncGenerator[bytes, None]:
        self.num_open += 1
        try:
            left = self._seconds
            while left > 0:
                if self.num_windows == self._broken_after:
                    raise InvalidRequest("Audio file might be corrupted or unsupported", param="file")
                self.num_windows += 1
                yield bytes(int(min(left, 10.0) * SAMPLE_RATE) * 2)
                left -= 10.0
        finally:
            self.num_open -= 1


class FakeSpeechEngine:
    """Says one segment for each window it is fed, and wants one window ahead. It dies after `lives` passes of `dies_after` windows.

    Each segment is said to end `text_ends_late_by` seconds behind its window.
    """

    num_slots = 2

    def __init__(self, *, dies_after: int | None = None, lives: int = 0, text_ends_late_by: float = 0.0) -> None:
        self.text_ends_late_by = text_ends_late_by
        self.dies_after = dies_after
        self.lives = lives
        self.open: list[FakeTranscription] = []
        self.hearings: list[Hearing] = []

    async def transcribe(self, round_id: str, hearing: Hearing) -> "FakeTranscription":
        self.hearings.append(hearing)
        self.open.append(FakeTranscription(self, round_id))
        return self.open[-1]


class FakeTranscription:
    def __init__(self, engine: FakeSpeechEngine, round_id: str) -> None:
        self._engine = engine
        self._round_id = round_id
        self._events: list[HearingEvent] = []
        self._num_bytes = 0
        self._num_windows = 0

    @property
    def is_behind(self) -> bool:
        return bool(self._events)

    async def feed(self, samples: bytes) -> None:
        if self._engine.dies_after == self._num_windows and self._engine.lives:
            self._engine.lives -= 1
            raise EngineDied("died on purpose", suspects=frozenset({self._round_id}))
        start = self._num_bytes / BYTES_PER_SECOND
        self._num_windows += 1
        self._num_bytes += len(samples)
        end = self._num_bytes / BYTES_PER_SECOND
        text_end = end + self._engine.text_ends_late_by
        self._events += [segment(f" part{self._num_windows}", start, text_end), Heard(end)]

    async def feed_end(self) -> None:
        self._events.append(TranscriptFinished(language="en", seconds=self._num_bytes / BYTES_PER_SECOND))

    def __aiter__(self) -> "FakeTranscription":
        return self

    async def __anext__(self) -> HearingEvent:
        if not self._events:
            raise EngineFailed("nothing more is said")
        return self._events.pop(0)

    async def aclose(self) -> None:
        if self in self._engine.open:
            self._engine.open.remove(self)


def segment(text: str, start: float, end: float) -> HeardSegment:
    return HeardSegment(
        text=text,
        start=start,
        end=end,
        seek=0,
        tokens=(),
        temperature=0.0,
        avg_logprob=0.0,
        compression_ratio=1.0,
        no_speech_prob=0.0,
    )


def tone(seconds: float, *, rate: int = SAMPLE_RATE, peak: int = 8_000) -> np.ndarray:
    """Something to hear that is no speech."""
    moments = np.arange(int(seconds * rate)) / rate
    return (peak * np.sin(2 * np.pi * 440 * moments)).astype(np.int16)


def spoken(seconds: float) -> np.ndarray:
    """The beginning of a real speaker's recording, again and again. He speaks from 0.3 to 2.2 s."""
    with av.open(str(INAUGURAL)) as file:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        parts = [part for frame in file.decode(audio=0) for part in resampler.resample(frame)]
    whole = np.concatenate([part.to_ndarray().reshape(-1) for part in parts]).astype(np.int16)
    return np.resize(whole, int(seconds * SAMPLE_RATE))


def worker_arguments(folder: Path | None = None, *, num_joined: int = 4, **rules: float) -> dict[str, object]:
    """What a speech worker is told at its start: Whisper's, with the folder of a checkpoint."""
    thresholds = {"compression_ratio": 2.4, "log_prob": -1.0, "no_speech": 0.6, "max_repeats": 4, **rules}
    whisper = {"folder": str(folder), "num_threads": 1, "num_joined": num_joined, "rules": thresholds}
    return {"voice_threshold": 0.5, **({} if folder is None else whisper)}


def write_wav(path: Path, samples: np.ndarray, *, rate: int = SAMPLE_RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def write_media(path: Path, samples: np.ndarray, *, container: str, codec: str, rate: int = SAMPLE_RATE) -> Path:
    """The samples in a container of FFmpeg's, by its names."""
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame_size = 960
        fifo = av.AudioFifo()
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.rate = rate
        for part in resampler.resample(frame):
            fifo.write(part)
        while (part := fifo.read(stream.frame_size or frame_size, partial=True)) is not None:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return path


def write_silent_film(path: Path) -> Path:
    """Video without any sound."""
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(10):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        output.mux(stream.encode(None))
    return path


def texts(events: Sequence[object]) -> str:
    return "".join(event.text for event in events if isinstance(event, HeardSegment))
