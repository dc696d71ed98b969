"""Speech: what is asked of a recording, what an engine says of it, and the seam that every speech engine looks like."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

# What engines hear: 16-bit samples, one channel.
SAMPLE_RATE = 16_000
BYTES_PER_SECOND = 2 * SAMPLE_RATE


class Task(StrEnum):
    """Write down what is said, in its own language or in English."""

    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """An uploaded file, whole and not looked into yet. `sha256` is in hex; the file is its owner's to remove."""

    path: Path
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """How a recording is to be heard. `language` is an ISO-639-1 code, or None where the engine is to find out.

    `temperature` 0 lets an engine that has temperatures raise it by itself where a passage does not succeed.
    """

    task: Task
    language: str | None = None
    prompt: str | None = None
    temperature: float = 0.0
    has_words: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRequest:
    """One API call about a recording; see `core.requests.Request`."""

    model: str
    endpoint: str
    recording: Recording
    hearing: Hearing
    is_stream: bool = False
    user: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_choices(self) -> int:
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardWord:
    """One word, from `start` to `end` seconds of the recording."""

    word: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardSegment:
    """A passage, from `start` to `end` seconds of the recording. All other figures are in Whisper's meaning.

    `text` begins with a space where one stands before it. `seek` is where the engine's window began, in hundredths of a
    second. An engine that has no tokens, temperatures or doubts says () and 0.
    """

    text: str
    start: float
    end: float
    seek: int
    tokens: tuple[int, ...]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: tuple[HeardWord, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """So many seconds of the recording are worked through."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptFinished:
    """The recording is worked through: its language, as a code, and its length."""

    language: str
    seconds: float


# What an engine says of a recording; the last is TranscriptFinished.
HearingEvent = HeardSegment | Heard | TranscriptFinished
# What a Run tells of it, before its `core.events.Finished`.
TranscriptEvent = HeardSegment | TranscriptFinished


class Transcription(Protocol):
    """One open recording on an engine. Whoever gets it closes it; closing an unfinished one aborts the engine's work."""

    @property
    def is_behind(self) -> bool:
        """Whether the engine has as much before it as it wants to have; until its next event it is fed no more."""
        ...

    async def feed(self, samples: bytes) -> None:
        """The next samples. Raises EngineFailed."""
        ...

    async def feed_end(self) -> None:
        """There are no more samples. Raises EngineFailed."""
        ...

    def __aiter__(self) -> AsyncIterator[HearingEvent]: ...

    async def __anext__(self) -> HearingEvent:
        """The next event. Raises EngineFailed when the engine dies, hangs or speaks nonsense."""
        ...

    async def aclose(self) -> None:
        """Stop the engine's work on it. May be called at any time, any number of times."""
        ...


class SpeechEngine(Protocol):
    """One replica that hears `num_slots` recordings in turns. The caller never has more of them open."""

    @property
    def num_slots(self) -> int: ...

    async def transcribe(self, round_id: str, hearing: Hearing) -> Transcription:
        """Open a recording. `round_id` is unique, and names it among the suspects of an engine's death."""
        ...
