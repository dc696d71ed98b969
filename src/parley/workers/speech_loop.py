"""The loop of every speech worker: takes recordings in, hears their passages side by side, and says what was heard.

Commands: `begin` a round, its `audio` (raw samples), `no_more` of it, and `end`, which aborts it. Events: `heard` with the
seconds that are worked through, `segment`, `finished`; around each call of the runtime `working` with its rounds, so that a
death has its suspects; and `refused` with the reason where a round cannot go on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from parley.core.channel import Header
from parley.workers.calls import Call, choose
from parley.workers.passages import Cutter, Passage
from parley.workers.voice import Question, Voice
from parley.workers.voice_activity import SAMPLE_RATE, Ear, Speech


@dataclass(slots=True, kw_only=True)
class Wish:
    """What a round asks for, and what was found out while it ran: `language` stays, `said` are the tokens so far."""

    task: str
    language: str | None
    prompt: str | None
    temperature: float
    has_words: bool
    # None before its first passage.
    said: list[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """As `core.speech.HeardSegment` has it, with times from the passage's start; words are (word, start, end)."""

    text: str
    start: float
    end: float
    seek: int = 0
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

    @property
    def window_seconds(self) -> float:
        """What is heard at once, however little of it is speech; 0 where less sound is less work."""
        ...

    def hear(self, passage: Passage, wish: Wish) -> Iterator[Segment | Call]:
        """What is said in a passage, and on the way the calls for it: each is answered before the next item is asked for.

        Sets `wish.language` where it is None. Raises Unheard.
        """
        ...

    def answer(self, calls: Sequence[Call]) -> None:
        """Ask the runtime, and give each of some calls of one key its `answer`. Raises Unheard."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class _Round:
    number: int
    wish: Wish
    cutter: Cutter
    # The passage that is being heard, what hears it, and the call that this waits for.
    passage: Passage | None = None
    hearing: Iterator[Segment | Call] | None = None
    call: Call | None = None
    seconds_heard: float = 0.0


class SpeechLoop:
    """Runs until the worker's input ends. `make_ear` makes what listens for speech, for each recording."""

    def __init__(self, voice: Voice, recognizer: Recognizer, make_ear: Callable[[], Ear], *, threshold: float) -> None:
        self._voice = voice
        self._recognizer = recognizer
        self._make_ear = make_ear
        self._threshold = threshold
        self._rounds: list[_Round] = []

    def run(self) -> None:
        """Say that the model is ready, then work."""
        self._voice.say({"event": "ready", "ahead_seconds": 2 * self._recognizer.longest_seconds})
        self._voice.listen()
        while True:
            self._take_commands(is_idle=not any(self._has_work(each) for each in self._rounds))
            for each in list(self._rounds):
                self._begin_passage(each)
                self._go_on(each)
            chosen = choose([each.call for each in self._rounds if each.call is not None])
            if chosen:
                self._answer([each for each in self._rounds if each.call in chosen])

    @staticmethod
    def _has_work(each: _Round) -> bool:
        return each.hearing is not None or each.cutter.is_ready or each.cutter.is_over

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
            self._rounds.append(_Round(number=number, wish=_read_wish(header), cutter=self._new_cutter()))
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

    def _new_cutter(self) -> Cutter:
        recognizer = self._recognizer
        return Cutter(
            Speech(self._make_ear(), self._threshold),
            longest_seconds=recognizer.longest_seconds,
            window_seconds=recognizer.window_seconds,
        )

    def _begin_passage(self, each: _Round) -> None:
        """The next passage with speech in it, or the end of the recording."""
        while each.hearing is None and each.cutter.is_ready:
            passage = each.cutter.cut()
            if passage.is_silent:
                self._end_passage(each, passage)
            else:
                each.passage, each.hearing = passage, self._recognizer.hear(passage, each.wish)
        if each.hearing is None and each.cutter.is_over:
            self._rounds.remove(each)
            seconds, language = each.cutter.num_cut / SAMPLE_RATE, each.wish.language or "en"
            self._voice.say({"event": "finished", "round": each.number, "language": language, "seconds": seconds})

    def _go_on(self, each: _Round) -> None:
        """Say what is known of a round's passage, as far as the runtime need not be asked."""
        if each.hearing is None or each.passage is None or each.call is not None:
            return
        try:
            for item in each.hearing:
                if isinstance(item, Call):
                    item.seconds_heard, item.end_seconds = each.seconds_heard, each.passage.end_seconds
                    each.call = item
                    return
                self._say(each, each.passage, item)
        except Unheard as error:
            self._refuse(each, error)
            return
        each.hearing = None
        self._end_passage(each, each.passage)

    def _answer(self, group: list[_Round]) -> None:
        """Let the runtime answer the calls of a group; where it cannot answer all together, each by itself."""
        self._voice.say({"event": "working", "rounds": [each.number for each in group]})
        calls = [each.call for each in group if each.call is not None]
        try:
            self._recognizer.answer(calls)
        except Unheard as error:
            if len(group) > 1:
                for each in group:
                    self._answer([each])
            else:
                self._refuse(group[0], error)
        for each in group:
            each.call = None
        self._voice.say({"event": "working", "rounds": []})

    def _refuse(self, each: _Round, error: Unheard) -> None:
        self._voice.say({"round": each.number, "refused": str(error)})
        self._rounds.remove(each)

    def _end_passage(self, each: _Round, passage: Passage) -> None:
        each.seconds_heard = passage.end_seconds
        self._voice.say({"event": "heard", "round": each.number, "seconds": passage.end_seconds})

    def _say(self, each: _Round, passage: Passage, segment: Segment) -> None:
        start = passage.start_seconds
        each.seconds_heard = start + segment.end
        self._voice.say(
            {
                "event": "segment",
                "round": each.number,
                "text": segment.text,
                "start": round(start + segment.start, 2),
                "end": round(start + segment.end, 2),
                "seek": round(start * 100) + segment.seek,
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
