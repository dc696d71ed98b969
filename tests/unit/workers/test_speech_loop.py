"""The loop of speech workers, with a recognizer that says how long each passage was."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from parley.workers.calls import Call
from parley.workers.passages import SAMPLE_RATE, Passage
from parley.workers.speech_loop import Segment, SpeechLoop, Unheard, Wish
from parley.workers.voice_activity import LevelEar


class InputEnded(Exception):
    pass


class FakeVoice:
    """Gives commands as they are due: each with the number of passages that must have been worked through before."""

    def __init__(self, *commands: tuple[int, dict, bytes]) -> None:
        self._commands = list(commands)
        self.said: list[dict] = []

    def say(self, header: dict, raw: bytes = b"") -> None:
        self.said.append(dict(header))

    def listen(self) -> None:
        pass

    def next_question(self, *, timeout_seconds: float | None = None) -> tuple[dict, bytes] | None:
        num_done = sum(1 for each in self.said if each.get("event") == "working" and each["rounds"])
        if self._commands and (self._commands[0][0] <= num_done or timeout_seconds is None):
            return self._commands.pop(0)[1:]
        if timeout_seconds is None:
            raise InputEnded
        return None

    def of(self, event: str) -> list[dict]:
        return [each for each in self.said if each.get("event") == event]


class FakeRecognizer:
    """Makes one call for each passage; those of one task are answered two at a time."""

    longest_seconds = 2.0
    window_seconds = 0.0

    def hear(self, passage: Passage, wish: Wish) -> Iterator[Segment | Call]:
        if wish.prompt == "choke":
            raise Unheard("choked")
        wish.language = wish.language or "fr"
        seconds = len(passage.samples) / SAMPLE_RATE
        call = Call(key=wish.task, question=wish, most=2)
        yield call
        words = [("word", 0.25, seconds)] if wish.has_words else []
        yield Segment(text=f" {call.answer}", start=0.25, end=seconds, seek=7, words=words)

    def answer(self, calls: Sequence[Call]) -> None:
        if any(call.question.prompt == "indigestible" for call in calls):
            raise Unheard("out of memory")
        for call in calls:
            call.answer = call.question.task


def begin(number: int, **more) -> tuple[int, dict, bytes]:
    wish = {"task": "transcribe", "language": None, "prompt": None, "temperature": 0.0, "has_words": False}
    return 0, {"op": "begin", "round": number, **wish, **more}, b""


def audio(number: int, seconds: float, *, loud: bool = True, due: int = 0) -> tuple[int, dict, bytes]:
    samples = np.full(int(seconds * SAMPLE_RATE), 5_000 if loud else 0, np.int16)
    return due, {"op": "audio", "round": number}, samples.tobytes()


def no_more(number: int) -> tuple[int, dict, bytes]:
    return 0, {"op": "no_more", "round": number}, b""


def run(*commands: tuple[int, dict, bytes]) -> FakeVoice:
    voice = FakeVoice(*commands)
    with pytest.raises(InputEnded):
        SpeechLoop(voice, FakeRecognizer(), LevelEar, threshold=0.5).run()
    return voice


def test_times_are_those_of_the_recording_not_of_the_passage():
    voice = run(begin(1, has_words=True), audio(1, 3.0), no_more(1))
    first, second = voice.of("segment")
    cut = voice.of("heard")[0]["seconds"]
    assert (first["start"], second["start"]) == (0.25, round(cut + 0.25, 2))
    assert second["end"] == 3.0
    assert second["words"][0][1:] == (round(cut + 0.25, 2), 3.0)
    assert second["seek"] == round(cut * 100) + 7
    assert voice.of("finished") == [{"event": "finished", "round": 1, "language": "fr", "seconds": 3.0}]


def test_what_is_heard_is_said_as_it_is_worked_through_and_ends_with_the_recording():
    heard = [each["seconds"] for each in run(begin(1), audio(1, 7.0), no_more(1)).of("heard")]
    assert heard == sorted(heard)
    assert len(heard) >= 4
    assert heard[-1] == 7.0


def worked_on(voice: FakeVoice) -> list[list[int]]:
    return [each["rounds"] for each in voice.of("working") if each["rounds"]]


def test_passages_of_several_recordings_are_heard_together_where_they_can_be():
    voice = run(begin(1), begin(2), audio(1, 8.0), audio(2, 1.0), no_more(1), no_more(2))
    assert worked_on(voice)[0] == [1, 2]
    apart = run(begin(1), begin(2, task="translate"), audio(1, 1.0), audio(2, 1.0), no_more(1), no_more(2))
    assert worked_on(apart) == [[1], [2]]


def test_who_was_heard_least_goes_first_so_that_a_short_recording_does_not_wait_for_long_ones():
    late = (2, begin(3)[1], b""), audio(3, 1.0, due=2), (2, no_more(3)[1], b"")
    voice = run(begin(1), begin(2), audio(1, 19.0), audio(2, 19.0), no_more(1), no_more(2), *late)
    assert worked_on(voice)[2][0] == 3
    assert voice.of("finished")[0]["round"] == 3


def test_a_short_recording_goes_before_the_first_passages_of_long_ones_that_came_before_it():
    long = [command for number in (1, 2) for command in (begin(number, task=f"task {number}"), audio(number, 2.0))]
    voice = run(*long, begin(3, task="task 3"), audio(3, 0.5), no_more(3), *(no_more(number) for number in (1, 2)))
    assert worked_on(voice)[:3] == [[3], [1], [2]]


def test_calls_that_cannot_be_answered_together_are_answered_one_by_one():
    commands = begin(1), begin(2, prompt="indigestible"), audio(1, 1.0), audio(2, 1.0), no_more(1), no_more(2)
    voice = run(*commands)
    assert [each for each in voice.said if "refused" in each] == [{"round": 2, "refused": "out of memory"}]
    assert [each["round"] for each in voice.of("finished")] == [1]


def test_silence_is_worked_through_and_says_nothing():
    voice = run(begin(1), audio(1, 5.0, loud=False), no_more(1))
    assert not voice.of("segment")
    assert voice.of("finished")[0]["seconds"] == 5.0


def test_an_aborted_recording_is_heard_no_further():
    voice = run(begin(1), audio(1, 8.0), (1, {"op": "end", "round": 1}, b""), begin(2), audio(2, 1.0), no_more(2))
    assert worked_on(voice) == [[1], [2]]
    assert [each["round"] for each in voice.of("finished")] == [2]


def test_a_recording_that_cannot_be_heard_is_refused_and_the_next_one_is_heard():
    voice = run(begin(1, prompt="choke"), begin(2), audio(1, 1.0), audio(2, 1.0), no_more(1), no_more(2))
    assert [each for each in voice.said if "refused" in each] == [{"round": 1, "refused": "choked"}]
    assert [each["round"] for each in voice.of("finished")] == [2]


def test_whoever_dies_in_a_passage_has_said_whose_it_was():
    said = [each for each in run(begin(4), audio(4, 1.0), no_more(4)).said if each.get("event") == "working"]
    assert [each["rounds"] for each in said] == [[4], []]


def test_an_empty_recording_is_finished_at_once():
    assert run(begin(1), no_more(1)).of("finished")[0]["seconds"] == 0.0
