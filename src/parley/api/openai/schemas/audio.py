"""Wire types of `/v1/audio/transcriptions` and `/v1/audio/translations`."""

from typing import Annotated, Literal

import msgspec

from parley.api.openai.schemas.shared import ReplyStruct

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
Granularity = Literal["word", "segment"]
File = Annotated[str, msgspec.Meta(extra_json_schema={"format": "binary"})]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=1)]


class CreateTranslationRequest(msgspec.Struct, kw_only=True):
    """The form of a translation into English, from `language`. It is sent as `multipart/form-data`."""

    file: File
    model: str
    language: str | None = None
    prompt: str | None = None
    response_format: ResponseFormat = "json"
    temperature: Temperature = 0.0


class CreateTranscriptionRequest(msgspec.Struct, kw_only=True):
    """The form of a transcription. It is sent as `multipart/form-data`; `chunking_strategy` may be "auto", which it is."""

    file: File
    model: str
    language: str | None = None
    prompt: str | None = None
    response_format: ResponseFormat = "json"
    temperature: Temperature = 0.0
    stream: bool = False
    timestamp_granularities: list[Granularity] = msgspec.field(default_factory=list, name="timestamp_granularities[]")
    chunking_strategy: Literal["auto"] | None = None


class DurationUsage(ReplyStruct, kw_only=True):
    """What is billed: whole seconds."""

    type: Literal["duration"] = "duration"
    seconds: int


class Transcript(ReplyStruct, kw_only=True):
    """The reply with `response_format` json."""

    text: str
    usage: DurationUsage


class TranscriptWord(ReplyStruct, kw_only=True):
    word: str
    start: float
    end: float


class TranscriptSegment(ReplyStruct, kw_only=True):
    """As Whisper has it; `seek` in hundredths of a second."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseTranscript(ReplyStruct, kw_only=True, omit_defaults=True):
    """The reply with `response_format` verbose_json; words and segments where they were asked for."""

    task: Literal["transcribe", "translate"]
    language: str
    duration: float
    text: str
    words: list[TranscriptWord] | None = None
    segments: list[TranscriptSegment] | None = None
    usage: DurationUsage


class TranscriptDelta(ReplyStruct, kw_only=True):
    """A piece of a streamed transcript."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str


class TranscriptDone(ReplyStruct, kw_only=True):
    """The end of a streamed transcript, with all of its text."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    usage: DurationUsage
