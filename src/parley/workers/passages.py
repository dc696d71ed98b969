"""Cuts samples that come bit by bit into passages that are heard by themselves: where nobody speaks, never above a length."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from parley.workers.voice_activity import SAMPLE_RATE, Samples, Speech, Stretch

# What is heard before and behind speech, in which its quiet beginnings and ends are.
_MARGIN_SAMPLES = 2 * SAMPLE_RATE // 5
# Shorter pauses belong to what is said.
_SILENCE_SAMPLES = 2 * SAMPLE_RATE
# Where speech goes on for too long, a cut is made in the last part of the longest passage: in the longest pause, else in the
# middle of the quietest stretch of this length.
_SEARCHED_PART = 1 / 3
_STRETCH_SAMPLES = SAMPLE_RATE // 5
_STEP_SAMPLES = SAMPLE_RATE // 50


@dataclass(frozen=True, slots=True)
class Passage:
    """From `start` to `end`, in samples of the recording; what of it is to be heard begins at its start."""

    start: int
    end: int
    samples: Samples

    @property
    def start_seconds(self) -> float:
        return self.start / SAMPLE_RATE

    @property
    def end_seconds(self) -> float:
        return self.end / SAMPLE_RATE

    @property
    def is_silent(self) -> bool:
        """Whether nobody speaks in it."""
        return not len(self.samples)


class Cutter:
    """Holds what came and is not cut off yet: a passage's length, and what is pushed at a time.

    A recognizer that hears windows of `window_seconds` is given the pauses within a window, as digital silence: cutting there
    would make two windows of one. With 0 every silence is cut out.
    """

    def __init__(self, speech: Speech, *, longest_seconds: float, window_seconds: float = 0.0) -> None:
        self._speech = speech
        self._longest = int(longest_seconds * SAMPLE_RATE)
        self._window = int(window_seconds * SAMPLE_RATE)
        self._held: list[Samples] = []
        self._num_held = 0
        self._start = 0
        self._has_ended = False

    def push(self, samples: Samples) -> None:
        """More samples."""
        self._speech.push(samples)
        self._held.append(samples)
        self._num_held += len(samples)

    def end(self) -> None:
        """No more samples: what is held is the last passage."""
        self._speech.end()
        self._has_ended = True

    @property
    def is_ready(self) -> bool:
        """Whether `cut` has a passage."""
        return self._num_held >= self._longest or (self._has_ended and self._num_held > 0)

    @property
    def is_over(self) -> bool:
        """Whether everything that came was cut off, and no more comes."""
        return self._has_ended and not self._num_held

    @property
    def num_cut(self) -> int:
        """Samples of all passages so far."""
        return self._start

    def cut(self) -> Passage:
        """The next passage, while `is_ready`. One that nobody speaks in ends where somebody begins to."""
        joined = np.concatenate(self._held)
        limit = min(len(joined), self._longest)
        spoken = self._spoken(limit)
        if not spoken:
            # What comes next may begin with speech, whose margin lies here.
            is_last = self._has_ended and limit == len(joined)
            length = limit if is_last else limit - _MARGIN_SAMPLES
        elif spoken[0][0] > 0:
            length, spoken = spoken[0][0], []
        else:
            length = self._length(joined[:limit], spoken, may_end=len(joined) < self._longest)
            spoken = [(first, min(last, length)) for first, last in spoken if first < length]
        return self._cut_off(joined, length, spoken)

    def _spoken(self, limit: int) -> list[Stretch]:
        """Speech with its margins in the first `limit` samples that are held, with the short pauses in it."""
        spoken: list[Stretch] = []
        for first, last in self._speech.between(self._start, self._start + limit + _MARGIN_SAMPLES):
            begin = max(first - self._start - _MARGIN_SAMPLES, 0)
            end = min(last - self._start + _MARGIN_SAMPLES, limit)
            if spoken and begin - spoken[-1][1] < _SILENCE_SAMPLES - 2 * _MARGIN_SAMPLES:
                spoken[-1] = spoken[-1][0], end
            elif begin < limit:
                spoken.append((begin, end))
        return spoken

    def _length(self, samples: Samples, spoken: list[Stretch], *, may_end: bool) -> int:
        """Where a passage that begins with speech ends: before a silence behind which another window would begin."""
        for (_, last), (first, _) in pairwise(spoken):
            if not self._window or (last - 1) // self._window != first // self._window:
                return last
        end = spoken[-1][1]
        return end if end < len(samples) or may_end else self._pause(samples)

    def _pause(self, samples: Samples) -> int:
        """Where to cut through speech."""
        first = int(len(samples) * (1 - _SEARCHED_PART))
        stretches = self._speech.between(self._start + first, self._start + len(samples))
        pauses = [(begin - end, (begin + end) // 2) for (_, end), (begin, _) in pairwise(stretches)]
        return max(pauses)[1] - self._start if pauses else quietest(samples)

    def _cut_off(self, joined: Samples, length: int, spoken: list[Stretch]) -> Passage:
        heard = joined[: spoken[-1][1]].copy() if spoken else joined[:0]
        for (_, last), (first, _) in pairwise(spoken):
            heard[last:first] = 0
        passage = Passage(self._start, self._start + length, heard)
        self._held = [joined[length:]] if length < len(joined) else []
        self._num_held = len(joined) - length
        self._start += length
        self._speech.forget(self._start)
        return passage


def quietest(samples: Samples) -> int:
    """Where to cut: the middle of the quietest stretch of the last part. Never 0."""
    first = int(len(samples) * (1 - _SEARCHED_PART))
    searched = samples[first:].astype(np.float64)
    if len(searched) <= _STRETCH_SAMPLES:
        return len(samples)
    sums = np.concatenate(([0.0], np.cumsum(searched * searched)))
    energies = (sums[_STRETCH_SAMPLES:] - sums[:-_STRETCH_SAMPLES])[::_STEP_SAMPLES]
    # Of equally quiet places the last, for long passages.
    place = len(energies) - 1 - int(np.argmin(energies[::-1]))
    return first + place * _STEP_SAMPLES + _STRETCH_SAMPLES // 2
