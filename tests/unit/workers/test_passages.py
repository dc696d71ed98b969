"""Cutting what comes into passages."""

import numpy as np

from parley.workers.passages import SAMPLE_RATE, Cutter, Passage, quietest
from parley.workers.voice_activity import LevelEar, Speech


def noise(seconds: float, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9_000, 9_000, int(seconds * SAMPLE_RATE)).astype(np.int16)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * SAMPLE_RATE), np.int16)


def new_cutter(longest_seconds: float, window_seconds: float = 0.0) -> Cutter:
    """One to which everything that is loud is speech."""
    return Cutter(Speech(LevelEar(), 0.5), longest_seconds=longest_seconds, window_seconds=window_seconds)


def cut_all(cutter: Cutter) -> list[Passage]:
    passages = []
    while cutter.is_ready:
        passages.append(cutter.cut())
    return passages


def passages_of(*parts: np.ndarray, longest_seconds: float = 60.0, window_seconds: float = 0.0) -> list[Passage]:
    """All of a recording, pushed a second at a time."""
    whole, cutter, passages = np.concatenate(parts), new_cutter(longest_seconds, window_seconds), []
    for start in range(0, len(whole), SAMPLE_RATE):
        cutter.push(whole[start : start + SAMPLE_RATE])
        passages += cut_all(cutter)
    cutter.end()
    passages += cut_all(cutter)
    assert [each.start for each in passages] == [0, *(each.end for each in passages[:-1])]
    assert (cutter.is_over, cutter.num_cut, passages[-1].end) == (True, len(whole), len(whole))
    for each in passages:
        said = each.samples != 0
        assert np.array_equal(each.samples[said], whole[each.start : each.start + len(each.samples)][said])
    return passages


def heard(passages: list[Passage]) -> list[tuple[float, float]]:
    """From when to when the passages are heard, in seconds."""
    return [
        (round(each.start_seconds, 1), round(each.start_seconds + len(each.samples) / SAMPLE_RATE, 1))
        for each in passages
        if not each.is_silent
    ]


def test_nothing_is_lost_doubled_or_moved_by_cutting():
    whole = noise(10.3)
    passages = passages_of(whole, longest_seconds=3.0)
    assert np.array_equal(np.concatenate([each.samples for each in passages]), whole)
    assert max(len(each.samples) for each in passages) <= 3 * SAMPLE_RATE


def test_long_silence_is_not_heard_and_speech_keeps_a_margin():
    passages = passages_of(silence(5.0), noise(2.0), silence(5.0), noise(1.0), silence(5.0))
    assert heard(passages) == [(4.6, 7.4), (11.6, 13.4)]


def test_a_short_pause_belongs_to_what_is_said():
    assert heard(passages_of(noise(1.0), silence(1.5), noise(1.0))) == [(0.0, 3.5)]


def test_silence_in_a_window_is_kept_as_silence_and_no_second_window_is_made_of_it():
    loud_silence = np.full(5 * SAMPLE_RATE, 16, np.int16)
    [passage] = [
        each for each in passages_of(noise(2.0), loud_silence, noise(2.0), window_seconds=30.0) if not each.is_silent
    ]
    assert len(passage.samples) == 9 * SAMPLE_RATE
    assert not passage.samples[3 * SAMPLE_RATE : 6 * SAMPLE_RATE].any()


def test_silence_before_another_window_ends_a_passage():
    parts = noise(2.0), silence(30.0), noise(2.0)
    assert heard(passages_of(*parts, window_seconds=30.0)) == [(0.0, 2.4), (31.6, 34.0)]


def test_hours_of_silence_are_worked_through_a_passage_at_a_time():
    passages = passages_of(silence(100.0), longest_seconds=10.0)
    assert all(each.is_silent for each in passages)
    assert len(passages) >= 10


def test_speech_that_begins_at_the_end_of_what_was_looked_at_keeps_its_margin():
    passages = passages_of(silence(10.1), noise(3.0), longest_seconds=10.0)
    assert heard(passages) == [(9.7, 13.1)]


def test_speech_without_a_silence_is_cut_in_its_longest_pause():
    parts = noise(7.5), silence(0.2), noise(1.0), silence(0.6), noise(9.0)
    first, *_ = passages_of(*parts, longest_seconds=10.0)
    assert 8.7 < first.end_seconds < 9.3


def test_a_cut_is_made_where_it_is_quiet():
    samples = noise(3.0)
    samples[int(2.4 * SAMPLE_RATE) : int(2.7 * SAMPLE_RATE)] = 0
    assert 2.4 <= quietest(samples) / SAMPLE_RATE <= 2.7


def test_a_pause_too_early_to_be_looked_for_is_not_cut_at():
    samples = noise(3.0)
    samples[: SAMPLE_RATE // 2] = 0
    assert quietest(samples) > 2 * SAMPLE_RATE


def test_no_passage_waits_for_more_once_no_more_comes():
    cutter = new_cutter(30.0)
    cutter.push(noise(1.0))
    assert not cutter.is_ready
    cutter.end()
    assert cutter.is_ready
