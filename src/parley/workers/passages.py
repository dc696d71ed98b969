"""Cuts samples that come bit by bit into passages that are heard by themselves: at a quiet place, never above a length."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
# A cut is made in the last part of the longest passage, in the middle of the quietest stretch of this length.
_SEARCHED_PART = 1 / 3
_STRETCH_SAMPLES = SAMPLE_RATE // 5
_STEP_SAMPLES = SAMPLE_RATE // 50
# Nothing louder than this (of 32,768) is no speech: what decoders and converters leave of digital silence.
_SILENT_PEAK = 16

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Passage:
    """Samples with the place of the first one in the recording."""

    start: int
    samples: Samples

    @property
    def start_seconds(self) -> float:
        return self.start / SAMPLE_RATE

    @property
    def end_seconds(self) -> float:
        return (self.start + len(self.samples)) / SAMPLE_RATE

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing that anybody could hear."""
        return not len(self.samples) or int(np.abs(self.samples.astype(np.int32)).max()) <= _SILENT_PEAK


class Cutter:
    """Holds what came and is not cut off yet: a passage's length, and what is pushed at a time."""

    def __init__(self, *, longest_seconds: float) -> None:
        self._longest = int(longest_seconds * SAMPLE_RATE)
        self._held: list[Samples] = []
        self._num_held = 0
        self._start = 0
        self._has_ended = False

    def push(self, samples: Samples) -> None:
        """More samples."""
        self._held.append(samples)
        self._num_held += len(samples)

    def end(self) -> None:
        """No more samples: what is held is the last passage."""
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
        """The next passage, while `is_ready`."""
        joined = np.concatenate(self._held)
        length = len(joined) if len(joined) < self._longest else quietest(joined[: self._longest])
        passage = Passage(self._start, joined[:length])
        self._held = [joined[length:]] if length < len(joined) else []
        self._num_held = len(joined) - length
        self._start += length
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
