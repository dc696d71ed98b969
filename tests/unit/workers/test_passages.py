"""Cutting what comes into passages."""

import numpy as np

from parley.workers.passages import SAMPLE_RATE, Cutter, quietest


def noise(seconds: float, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9_000, 9_000, int(seconds * SAMPLE_RATE)).astype(np.int16)


def cut_all(cutter: Cutter) -> list:
    passages = []
    while cutter.is_ready:
        passages.append(cutter.cut())
    return passages


def test_nothing_is_lost_doubled_or_moved_by_cutting():
    whole, cutter = noise(10.3), Cutter(longest_seconds=3.0)
    for start in range(0, len(whole), 7_001):
        cutter.push(whole[start : start + 7_001])
    cutter.end()
    passages = cut_all(cutter)
    assert np.array_equal(np.concatenate([each.samples for each in passages]), whole)
    assert [each.start for each in passages] == list(np.cumsum([0, *[len(each.samples) for each in passages]])[:-1])
    assert max(len(each.samples) for each in passages) <= 3 * SAMPLE_RATE
    assert (cutter.is_over, cutter.num_cut) == (True, len(whole))


def test_a_cut_is_made_where_it_is_quiet():
    samples = noise(3.0)
    samples[int(2.4 * SAMPLE_RATE) : int(2.7 * SAMPLE_RATE)] = 0
    assert 2.4 <= quietest(samples) / SAMPLE_RATE <= 2.7


def test_a_pause_too_early_to_be_looked_for_is_not_cut_at():
    samples = noise(3.0)
    samples[: SAMPLE_RATE // 2] = 0
    assert quietest(samples) > 2 * SAMPLE_RATE


def test_no_passage_waits_for_more_once_no_more_comes():
    cutter = Cutter(longest_seconds=30.0)
    cutter.push(noise(1.0))
    assert not cutter.is_ready
    cutter.end()
    assert cutter.is_ready


def test_silence_is_told_from_a_whisper():
    cutter = Cutter(longest_seconds=30.0)
    cutter.push(np.full(SAMPLE_RATE, 16, np.int16))
    cutter.end()
    assert cutter.cut().is_silent
    loud = Cutter(longest_seconds=30.0)
    loud.push(np.array([0, -32_768, 0], np.int16))
    loud.end()
    assert not loud.cut().is_silent
