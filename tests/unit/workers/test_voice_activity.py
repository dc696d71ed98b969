"""Where somebody speaks: the stretches that probabilities make, and the silero model itself."""

import numpy as np
import pytest

from parley.workers.voice_activity import FRAME_SAMPLES, SAMPLE_RATE, Ear, LevelEar, Speech, ear_maker
from tests.builders_speech import spoken, tone

LOUD, QUIET = np.full(SAMPLE_RATE, 5_000, np.int16), np.zeros(SAMPLE_RATE, np.int16)


class ScriptedEar:
    def __init__(self, *probabilities: float) -> None:
        self._left = list(probabilities)

    def probabilities(self, frames: np.ndarray) -> np.ndarray:
        return np.array([self._left.pop(0) for _ in frames], np.float32)


def stretches(ear: Ear, samples: np.ndarray, *, step: int = 7_001) -> list[tuple[int, int]]:
    speech = Speech(ear, 0.5)
    for start in range(0, len(samples), step):
        speech.push(samples[start : start + step])
    speech.end()
    return speech.between(0, len(samples))


def frames(*probabilities: float) -> list[tuple[float, float]]:
    """The stretches that these probabilities make, in frames."""
    samples = np.zeros(len(probabilities) * FRAME_SAMPLES, np.int16)
    return [(a / FRAME_SAMPLES, b / FRAME_SAMPLES) for a, b in stretches(ScriptedEar(*probabilities), samples)]


def test_a_stretch_ends_where_it_is_unlikely_for_a_while_that_anybody_speaks():
    assert frames(0.1, 0.6, 0.6, 0.1, 0.1, 0.1, 0.1, 0.6) == [(1, 3), (7, 8)]


def test_a_moment_of_doubt_or_a_short_gap_ends_nothing():
    assert frames(0.6, 0.4, 0.4, 0.4, 0.4, 0.4, 0.6, 0.1, 0.1, 0.6) == [(0, 10)]


def test_a_stretch_is_the_same_however_its_samples_came():
    samples = np.concatenate([QUIET, LOUD, QUIET])
    found = [stretches(LevelEar(), samples, step=step) for step in (100, 513, 48_000)]
    assert found[0] == found[1] == found[2]
    [(first, last)] = found[0]
    assert abs(first - SAMPLE_RATE) < FRAME_SAMPLES
    assert abs(last - 2 * SAMPLE_RATE) < FRAME_SAMPLES


def test_what_is_asked_for_is_cut_out_of_the_stretches_and_one_that_goes_on_has_no_end_yet():
    speech = Speech(LevelEar(), 0.5)
    speech.push(np.concatenate([LOUD, QUIET, LOUD]))
    assert speech.between(8_000, 48_000)[0][0] == 8_000
    assert speech.between(0, 1_000_000)[-1][1] == 1_000_000
    speech.forget(20_000)
    assert len(speech.between(0, 48_000)) == 1


def test_less_than_a_frame_at_the_end_is_listened_to():
    speech = Speech(LevelEar(), 0.5)
    speech.push(LOUD[:100])
    assert speech.between(0, 100) == []
    speech.end()
    assert speech.between(0, 100) == [(0, 100)]


def test_digital_silence_is_told_from_a_whisper():
    assert stretches(LevelEar(), np.full(SAMPLE_RATE, 16, np.int16)) == []
    assert len(stretches(LevelEar(), np.full(SAMPLE_RATE, -32_768, np.int16))) == 1


@pytest.fixture(scope="module")
def make_ear():
    return ear_maker(0.5)


def test_silero_finds_a_speaker_between_his_pauses_in_pieces_of_any_length(make_ear):
    whole, parts = (stretches(make_ear(), spoken(11.0), step=step) for step in (176_000, 4_001))
    assert whole == parts
    seconds = [(first / SAMPLE_RATE, last / SAMPLE_RATE) for first, last in whole]
    assert [(pytest.approx(0.32, abs=0.1), pytest.approx(2.24, abs=0.1))] == seconds[:1]
    assert len(seconds) == 5


@pytest.mark.parametrize(
    "samples",
    [np.zeros(80_000, np.int16), tone(5.0), np.random.default_rng(2).normal(0, 3_000, 80_000).astype(np.int16)],
    ids=["silence", "tone", "noise"],
)
def test_silero_hears_nobody_in_what_is_no_speech(make_ear, samples):
    assert stretches(make_ear(), samples) == []


def test_without_a_threshold_everything_that_is_loud_is_speech():
    assert len(stretches(ear_maker(0.0)(), tone(1.0))) == 1
