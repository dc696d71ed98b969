"""The loop of every speech worker: takes recordings in, hears their passages in turns, and says what was heard.

Commands: `begin` a round, its `audio` (raw samples), `no_more` of it, and `end`, which aborts it. Events: `heard` with the
seconds that are worked through, `segment`, `finished`; before each passage `working`, so that a death has a culprit; and
`refused` with the reason where a round cannot go on.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from parley.core.channel import Header
from parley.workers.passages import SAMPLE_RATE, Cutter, Passage
from parley.workers.voice import Question, Voice


@dataclass(slots=True, kw_only=True)
class Wish:
    """What a round asks for, and what was found out while it ran: `language` stays, `said` is the text so far."""

    task: str
    language: str | None
    prompt: str | None
    temperature: float
    has_words: bool
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """As `core.speech.HeardSegment` has it, with times from the passage's start; words are (word, start, end)."""

    text: str
    start: float
    end: float
    tokens: list[int] = field(default_factory=list)
    temperature: float = 0.0
    avg_logprob: float = 0.0
    compression_ratio: float = 0.0
    no_speech_prob: float = 0.0
    words: list[tuple[str, float, float]] = field(default_factory=list)


class Unheard(Exception):
    """A passage cannot be heard as it was asked; the message is for the log."""


class Recognizer(Protocol):
    """A runtime with its model."""

    @property
    def longest_seconds(self) -> float:
        """The longest passage that is heard by itself."""
        ...

    def hear(self, samples: Passage, wish: Wish) -> Iterator[Segment]:
        """What is said in a passage. Sets `wish.language` where it is None. Raises Unheard."""
        ...


@dataclass(slots=True, kw_only=True)
class _Round:
    number: int
    wish: Wish
    cutter: Cutter


class SpeechLoop:
    """Runs until the worker's input ends."""

    def __init__(self, voice: Voice, recognizer: Recognizer) -> None:
        self._voice = voice
        self._recognizer = recognizer
        # The first in it has its turn next.
        self._rounds: deque[_Round] = deque()

    def run(self) -> None:
        """Say that the model is ready, then work."""
        self._voice.say({"event": "ready", "ahead_seconds": 3 * self._recognizer.longest_seconds})
        self._voice.listen()
        while True:
            self._take_commands(is_idle=self._next_ready() is None)
            ready = self._next_ready()
            if ready is not None:
                self._work(ready)

    def _next_ready(self) -> _Round | None:
        return next((each for each in self._rounds if each.cutter.is_ready or each.cutter.is_over), None)

    def _take_commands(self, *, is_idle: bool) -> None:
        """All commands that are there; while there is nothing to do, wait for one."""
        command = self._voice.next_question(timeout_seconds=None if is_idle else 0.0)
        while command is not None:
            self._obey(command)
            command = self._voice.next_question(timeout_seconds=0.0)

    def _obey(self, command: Question) -> None:
        header, raw = command
        number = int(str(header["round"]))
        if header["op"] == "begin":
            cutter = Cutter(longest_seconds=self._recognizer.longest_seconds)
            self._rounds.append(_Round(number=number, wish=_read_wish(header), cutter=cutter))
            return
        found = next((each for each in self._rounds if each.number == number), None)
        if found is None:
            return
        match header["op"]:
            case "audio":
                found.cutter.push(np.frombuffer(raw, dtype=np.int16))
            case "no_more":
                found.cutter.end()
            case _:
                self._rounds.remove(found)

    def _work(self, ready: _Round) -> None:
        """One passage of one recording, which then goes behind all others."""
        self._rounds.remove(ready)
        self._rounds.append(ready)
        if not ready.cutter.is_over:
            self._voice.say({"event": "working", "round": ready.number})
            try:
                self._hear(ready, ready.cutter.cut())
            except Unheard as error:
                self._voice.say({"round": ready.number, "refused": str(error)})
                self._rounds.remove(ready)
            self._voice.say({"event": "working", "round": None})
        if ready in self._rounds and ready.cutter.is_over:
            self._rounds.remove(ready)
            seconds = ready.cutter.num_cut / SAMPLE_RATE
            language = ready.wish.language or "en"
            self._voice.say({"event": "finished", "round": ready.number, "language": language, "seconds": seconds})

    def _hear(self, ready: _Round, passage: Passage) -> None:
        segments = iter(()) if passage.is_silent else self._recognizer.hear(passage, ready.wish)
        for segment in segments:
            self._say(ready, passage, segment)
            # An abort is not to wait for the whole passage.
            self._take_commands(is_idle=False)
            if ready not in self._rounds:
                return
        self._voice.say({"event": "heard", "round": ready.number, "seconds": passage.end_seconds})

    def _say(self, ready: _Round, passage: Passage, segment: Segment) -> None:
        start = passage.start_seconds
        ready.wish.said += segment.text
        self._voice.say(
            {
                "event": "segment",
                "round": ready.number,
                "text": segment.text,
                "start": round(start + segment.start, 2),
                "end": round(start + segment.end, 2),
                "seek": int(start * 100),
                "tokens": segment.tokens,
                "temperature": segment.temperature,
                "avg_logprob": segment.avg_logprob,
                "compression_ratio": segment.compression_ratio,
                "no_speech_prob": segment.no_speech_prob,
                "words": [(word, round(start + begin, 2), round(start + end, 2)) for word, begin, end in segment.words],
            }
        )


def _read_wish(header: Header) -> Wish:
    language, prompt = header["language"], header["prompt"]
    return Wish(
        task=str(header["task"]),
        language=None if language is None else str(language),
        prompt=None if prompt is None else str(prompt),
        temperature=float(str(header["temperature"])),
        has_words=bool(header["has_words"]),
    )
