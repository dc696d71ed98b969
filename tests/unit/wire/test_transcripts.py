"""What was heard, in each shape of the wire."""

import json

import msgspec

from parley.api.openai.transcripts import TranscriptFrames, gather, to_srt, to_vtt, to_wire
from parley.core.events import Finished
from parley.core.speech import HeardSegment, HeardWord, Task, TranscriptFinished
from parley.core.usage import Usage


def segment(text: str, start: float, end: float, **more) -> HeardSegment:
    figures = {"seek": 0, "tokens": (7, 8), "temperature": 0.0, "avg_logprob": -0.5, "compression_ratio": 1.5}
    return HeardSegment(text=text, start=start, end=end, **(figures | {"no_speech_prob": 0.25} | more))


WORDS = (HeardWord(word=" Ask", start=0.0, end=0.5), HeardWord(word=" not.", start=0.5, end=1.0))
EVENTS = [
    segment(" Ask not.", 0.0, 1.0, words=WORDS),
    segment(" What you --> can.", 3_661.5, 3_662.25),
    TranscriptFinished(language="de", seconds=3_663.456),
    Finished(Usage(audio_seconds=3_663)),
]
GATHERED = gather(EVENTS)


def wire(*granularities: str, task: Task = Task.TRANSCRIBE) -> dict:
    return json.loads(msgspec.json.encode(to_wire(GATHERED, frozenset(granularities), task)))


def test_verbose_json_has_whispers_segments_and_what_is_billed():
    reply = wire()
    assert list(reply) == ["task", "language", "duration", "text", "segments", "usage"]
    assert (reply["task"], reply["language"], reply["duration"]) == ("transcribe", "german", 3663.46)
    assert reply["text"] == "Ask not. What you --> can."
    assert reply["segments"][0] == {
        "id": 0, "seek": 0, "start": 0.0, "end": 1.0, "text": " Ask not.", "tokens": [7, 8], "temperature": 0.0,
        "avg_logprob": -0.5, "compression_ratio": 1.5, "no_speech_prob": 0.25,
    }  # fmt: skip
    assert reply["usage"] == {"type": "duration", "seconds": 3663}


def test_words_alone_leave_the_segments_out():
    assert wire("word")["words"] == [
        {"word": "Ask", "start": 0.0, "end": 0.5},
        {"word": "not.", "start": 0.5, "end": 1.0},
    ]
    assert "segments" not in wire("word")
    assert {"words", "segments"} <= set(wire("word", "segment"))


def test_a_translation_is_in_english():
    assert (wire(task=Task.TRANSLATE)["task"], wire(task=Task.TRANSLATE)["language"]) == ("translate", "english")


def test_subtitles_are_numbered_and_hold_no_mark_of_their_format():
    assert to_srt(GATHERED.segments) == (
        "1\n00:00:00,000 --> 00:00:01,000\nAsk not.\n\n2\n01:01:01,500 --> 01:01:02,250\nWhat you -> can.\n\n"
    )
    assert to_vtt(GATHERED.segments) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nAsk not.\n\n01:01:01.500 --> 01:01:02.250\nWhat you -> can.\n\n"
    )


def test_subtitles_of_silence_are_empty():
    assert (to_srt(()), to_vtt(())) == ("\n", "WEBVTT\n\n")


def test_the_pieces_of_a_stream_are_its_text():
    frames = TranscriptFrames()
    told = [json.loads(frame.removeprefix(b"data: ")) for event in EVENTS if (frame := frames(event))]
    assert [each["type"] for each in told] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(each["delta"] for each in told[:2]) == told[2]["text"] == GATHERED.text
    assert told[2]["usage"] == {"type": "duration", "seconds": 3663}
