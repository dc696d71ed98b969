"""What was heard as it goes out: JSON, plain text, subtitles, and the events of a stream."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from starlette.responses import Response

from parley.api.openai.audio_fields import AudioFields
from parley.api.openai.frames import one_line
from parley.api.openai.schemas.audio import (
    DurationUsage,
    Transcript,
    TranscriptDelta,
    TranscriptDone,
    TranscriptSegment,
    TranscriptWord,
    VerboseTranscript,
)
from parley.core.events import Finished
from parley.core.languages import LANGUAGES
from parley.core.speech import HeardSegment, Task, TranscriptEvent, TranscriptFinished
from parley.core.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """All that a finished Run said."""

    segments: tuple[HeardSegment, ...]
    end: TranscriptFinished
    usage: Usage

    @property
    def text(self) -> str:
        return text_of(self.segments)


def gather(events: Iterable[TranscriptEvent | Finished]) -> Gathered:
    """The events of a Run that came to its end, joined."""
    segments: list[HeardSegment] = []
    end, usage = TranscriptFinished(language="en", seconds=0.0), Usage()
    for event in events:
        match event:
            case HeardSegment():
                segments.append(event)
            case TranscriptFinished():
                end = event
            case Finished():
                usage = event.usage
    return Gathered(segments=tuple(segments), end=end, usage=usage)


def reply(gathered: Gathered, fields: AudioFields, task: Task, headers: dict[str, str]) -> Response:
    """The reply that is not streamed, in the format that was asked for."""
    match fields.response_format:
        case "json":
            body: msgspec.Struct = Transcript(text=gathered.text, usage=_wire_usage(gathered.usage))
        case "verbose_json":
            body = to_wire(gathered, fields.granularities, task)
        case "text":
            return _plain(f"{gathered.text}\n", headers)
        case "srt":
            return _plain(to_srt(gathered.segments), headers)
        case _:
            return _plain(to_vtt(gathered.segments), headers)
    return Response(msgspec.json.encode(body), media_type="application/json", headers=headers)


def to_wire(gathered: Gathered, granularities: frozenset[str], task: Task) -> VerboseTranscript:
    """verbose_json: segments, unless words alone are asked for."""
    segments = [
        TranscriptSegment(
            id=number,
            seek=each.seek,
            start=each.start,
            end=each.end,
            text=each.text,
            tokens=list(each.tokens),
            temperature=each.temperature,
            avg_logprob=each.avg_logprob,
            compression_ratio=each.compression_ratio,
            no_speech_prob=each.no_speech_prob,
        )
        for number, each in enumerate(gathered.segments)
    ]
    words = [
        TranscriptWord(word=word.word.strip(), start=word.start, end=word.end)
        for each in gathered.segments
        for word in each.words
    ]
    return VerboseTranscript(
        task=task.value,
        # A translation is in English, whatever was spoken.
        language="english" if task is Task.TRANSLATE else LANGUAGES.get(gathered.end.language, gathered.end.language),
        duration=round(gathered.end.seconds, 2),
        text=gathered.text,
        words=words if "word" in granularities else None,
        segments=segments if "segment" in granularities or not granularities else None,
        usage=_wire_usage(gathered.usage),
    )


def to_srt(segments: Sequence[HeardSegment]) -> str:
    """SubRip subtitles."""
    blocks = [
        f"{number}\n{_moment(each.start, ',')} --> {_moment(each.end, ',')}\n{_line(each)}\n"
        for number, each in enumerate(segments, 1)
    ]
    return "\n".join(blocks) + "\n"


def to_vtt(segments: Sequence[HeardSegment]) -> str:
    """WebVTT subtitles."""
    blocks = [f"{_moment(each.start, '.')} --> {_moment(each.end, '.')}\n{_line(each)}\n" for each in segments]
    return "\n".join(["WEBVTT\n", *blocks]) + "\n"


class TranscriptFrames:
    """Renders one stream, event by event; b"" where an event has nothing to say."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def __call__(self, event: TranscriptEvent | Finished) -> bytes:
        match event:
            case HeardSegment():
                # All pieces together are the text of the end.
                piece = event.text if self._parts else event.text.lstrip()
                self._parts.append(piece)
                return _frame(TranscriptDelta(delta=piece)) if piece else b""
            case TranscriptFinished():
                return b""
            case Finished():
                return _frame(TranscriptDone(text="".join(self._parts), usage=_wire_usage(event.usage)))


def text_of(segments: Iterable[HeardSegment]) -> str:
    """The whole text."""
    return "".join(each.text for each in segments).strip()


def _wire_usage(usage: Usage) -> DurationUsage:
    return DurationUsage(seconds=usage.audio_seconds)


def _plain(text: str, headers: dict[str, str]) -> Response:
    return Response(text, media_type="text/plain", headers=headers)


def _line(segment: HeardSegment) -> str:
    """A text that cannot be taken for a mark of the format."""
    return segment.text.strip().replace("-->", "->")


def _moment(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{mark}{milliseconds % 1000:03d}"


def _frame(body: msgspec.Struct) -> bytes:
    return b"data: %b\n\n" % one_line(msgspec.json.encode(body))
