"""A speech runtime behind the speech seam: one supervised worker that hears the recordings of its slots side by side."""

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from parley.core.channel import Header
from parley.core.clock import Clock
from parley.core.errors import EngineDied, EngineFailed
from parley.core.speech import (
    BYTES_PER_SECOND,
    Heard,
    HeardSegment,
    HeardWord,
    Hearing,
    HearingEvent,
    TranscriptFinished,
)
from parley.infra.dialogue import Listener
from parley.infra.sandbox import WorkerFailed
from parley.serving.engines.child import Child, LiveChild, Supervision

# A worker tells nothing while it hears a passage, which a busy machine makes slow.
_SUPERVISION = Supervision(stall_seconds=300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechOptions:
    """Which worker (`parley.workers.…`), and what it is told at its start."""

    module: str
    num_slots: int
    arguments: Mapping[str, object] = field(default_factory=dict)
    supervision: Supervision = _SUPERVISION


class WorkerSpeechEngine:
    """Implements `core.speech.SpeechEngine`. `start` it before use and `aclose` it after."""

    def __init__(self, options: SpeechOptions, *, clock: Clock) -> None:
        self._options = options
        self._child = Child(
            options.module,
            lambda: [json.dumps(options.arguments)],
            clock=clock,
            supervision=options.supervision,
            listener=Listener(on_event=self._hear, on_end=self._fail_all),
        )
        # Through all restarts of the worker, so that what an old one said can never reach a new recording.
        self._numbers = itertools.count(1)
        self._open: dict[int, WorkerTranscription] = {}
        # Which recordings the worker said it is on: whom it died of, if it dies.
        self._worked_on: frozenset[int] = frozenset()

    @property
    def num_slots(self) -> int:
        return self._options.num_slots

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def num_open(self) -> int:
        """Recordings that are neither finished nor aborted."""
        return len(self._open)

    async def start(self) -> None:
        """Load. Raises ModelLoadFailed."""
        await self._child.start()

    async def aclose(self) -> None:
        """Abort what is open and end the worker. May be called any number of times."""
        for transcription in list(self._open.values()):
            await transcription.aclose()
        await self._child.aclose()

    async def transcribe(self, round_id: str, hearing: Hearing) -> "WorkerTranscription":
        live = await self._child.live()
        number = next(self._numbers)

        def on_close() -> None:
            self._child.end_work()
            del self._open[number]

        transcription = WorkerTranscription(round_id, number, live, on_close)
        self._open[number] = transcription
        self._child.begin_work()
        begin = {
            "op": "begin",
            "task": hearing.task,
            "language": hearing.language,
            "prompt": hearing.prompt,
            "temperature": hearing.temperature,
            "has_words": hearing.has_words,
        }
        try:
            await transcription.tell(begin)
        except BaseException:
            await transcription.aclose()
            raise
        return transcription

    def _hear(self, header: Header, _raw: bytes) -> None:
        """Hand what the worker says to the recording that it says it of."""
        number = header.get("round")
        if header.get("event") == "working":
            numbers = header.get("rounds")
            self._worked_on = frozenset(numbers if isinstance(numbers, list) else ())
            return
        transcription = self._open.get(number) if isinstance(number, int) else None
        if transcription is None:
            return
        if "refused" in header:
            transcription.fail(EngineFailed(f"the engine refused a recording: {header['refused']}"))
            return
        try:
            transcription.push(_read_event(header))
        except (KeyError, ValueError, TypeError) as error:
            raise WorkerFailed(f"the worker said what is no event: {error!r}") from error

    def _fail_all(self, error: WorkerFailed) -> None:
        suspects = frozenset(self._open[number].round_id for number in self._worked_on & self._open.keys())
        self._worked_on = frozenset()
        for transcription in list(self._open.values()):
            transcription.fail(EngineDied(f"the engine ended: {error}", suspects=suspects))


class WorkerTranscription:
    """Implements `core.speech.Transcription`. The engine feeds it with what the worker says."""

    def __init__(self, round_id: str, number: int, live: LiveChild, on_close: Callable[[], None]) -> None:
        self.round_id = round_id
        self._number = number
        self._live = live
        self._on_close = on_close
        ahead = live.facts.get("ahead_seconds")
        self._ahead_bytes = int(float(str(ahead)) * BYTES_PER_SECOND)
        self._num_fed = 0
        self._num_heard = 0
        self._events: deque[HearingEvent] = deque()
        self._failure: EngineFailed | None = None
        self._has_ended = False
        self._is_closed = False
        self._arrived = asyncio.Event()

    @property
    def is_behind(self) -> bool:
        return self._num_fed - self._num_heard >= self._ahead_bytes

    async def feed(self, samples: bytes) -> None:
        self._num_fed += len(samples)
        await self.tell({"op": "audio"}, samples)

    async def feed_end(self) -> None:
        await self.tell({"op": "no_more"})

    async def tell(self, header: Mapping[str, object], raw: bytes = b"") -> None:
        """Say something of this recording to the worker. Raises EngineFailed."""
        try:
            await self._live.dialogue.tell({**header, "round": self._number}, raw)
        except WorkerFailed as error:
            # What the worker died of, if it was heard of, says more.
            raise self._failure or EngineDied(
                f"the recording did not reach the engine: {error}", has_reached=bool(self._num_heard)
            ) from error

    def push(self, event: HearingEvent) -> None:
        """One event that the worker told."""
        if isinstance(event, Heard):
            self._num_heard = int(event.seconds * BYTES_PER_SECOND)
        self._has_ended = isinstance(event, TranscriptFinished)
        self._events.append(event)
        self._arrived.set()

    def fail(self, error: EngineFailed) -> None:
        """No more will come. What came already is still told."""
        if not self._has_ended:
            self._failure = self._failure or error
            self._arrived.set()

    def __aiter__(self) -> "WorkerTranscription":
        return self

    async def __anext__(self) -> HearingEvent:
        while not self._events:
            if self._is_closed:
                raise StopAsyncIteration
            if self._failure is not None:
                await self.aclose()
                raise self._failure
            self._arrived.clear()
            await self._arrived.wait()
        event = self._events.popleft()
        if isinstance(event, TranscriptFinished):
            await self.aclose()
        return event

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._events.clear()
        if not self._has_ended:
            self._live.dialogue.tell_later({"op": "end", "round": self._number})
        self._on_close()
        self._arrived.set()


def _read_event(header: Header) -> HearingEvent:
    match header.get("event"):
        case "heard":
            return Heard(_number(header, "seconds"))
        case "finished":
            return TranscriptFinished(language=str(header["language"]), seconds=_number(header, "seconds"))
        case "segment":
            words, tokens = header["words"], header["tokens"]
            if not isinstance(words, list) or not isinstance(tokens, list):
                raise TypeError("words and tokens are lists")
            return HeardSegment(
                text=str(header["text"]),
                start=_number(header, "start"),
                end=_number(header, "end"),
                seek=int(_number(header, "seek")),
                tokens=tuple(int(token) for token in tokens),
                temperature=_number(header, "temperature"),
                avg_logprob=_number(header, "avg_logprob"),
                compression_ratio=_number(header, "compression_ratio"),
                no_speech_prob=_number(header, "no_speech_prob"),
                words=tuple(HeardWord(word=str(w), start=float(start), end=float(end)) for w, start, end in words),
            )
        case event:
            raise ValueError(f"{event!r}")


def _number(header: Header, name: str) -> float:
    value = header[name]
    if not isinstance(value, int | float):
        raise TypeError(f"{name} is no number")
    return float(value)
