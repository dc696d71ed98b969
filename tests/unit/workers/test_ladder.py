"""When a window has failed, what is taken in the end, and how loops are found and cut."""

import random

import pytest

from parley.workers.ladder import Attempt, Loop, Rules, best, compression_ratio, find_loop, without_loops

RULES = Rules()
MOMENT = 1_000


def attempt(**more) -> Attempt:
    usual = {"tokens": (1, 2, 3), "temperature": 0.0, "avg_logprob": -0.5, "no_speech_prob": 0.1}
    return Attempt(**(usual | {"compression_ratio": 1.5, "has_loop": False} | more))


@pytest.mark.parametrize(
    ("more", "has_failed"),
    [
        ({}, False),
        ({"avg_logprob": -1.1}, True),
        ({"avg_logprob": -1.1, "no_speech_prob": 0.7}, False),
        ({"no_speech_prob": 0.7}, False),
        ({"compression_ratio": 2.5}, True),
        ({"has_loop": True}, True),
        ({"has_loop": True, "avg_logprob": -1.1, "no_speech_prob": 0.7}, False),
    ],
)
def test_a_window_has_failed_where_it_is_unlikely_or_repeats_itself_but_not_where_nobody_speaks(more, has_failed):
    assert attempt(**more).has_failed(RULES) is has_failed


def test_the_thresholds_are_the_operators():
    assert attempt(compression_ratio=2.0).has_failed(Rules(compression_ratio=1.9))
    assert not attempt(avg_logprob=-1.1).has_failed(Rules(log_prob=-2.0))


def test_where_all_have_failed_the_likeliest_that_does_not_repeat_itself_is_taken():
    looped, dense = attempt(has_loop=True, avg_logprob=-0.1), attempt(compression_ratio=3.0, avg_logprob=-0.2)
    unlikely, less = attempt(avg_logprob=-1.5), attempt(avg_logprob=-2.0)
    assert best([looped, dense, less, unlikely], RULES) is unlikely
    assert best([dense, looped], RULES) is looped


def test_repeated_text_is_told_by_how_small_it_can_be_made():
    assert compression_ratio("thank you " * 30) > 2.4 > compression_ratio("ask not what your country can do for you")


@pytest.mark.parametrize(
    ("tokens", "loop"),
    [
        ([7] * 20, Loop(0, 1, 20)),
        ([1, 2, *[3, 4, 5] * 5, 6], Loop(2, 3, 5)),
        ([1, 2, *[3, 4, 5] * 4, 6], None),
        ([7] * 11, None),
        ([], None),
    ],
)
def test_a_loop_is_a_phrase_that_is_said_too_often_in_a_row(tokens, loop):
    assert find_loop(tokens, 4) == loop


def test_no_limit_finds_no_loop():
    assert find_loop([7] * 200, 0) is None


def test_a_loop_is_cut_down_and_what_is_before_and_behind_it_stays():
    assert without_loops([1, 2, *[3, 4, 5] * 9, 6], MOMENT, 4) == (1, 2, *(3, 4, 5) * 4, 6)


def test_a_loop_over_segments_is_cut_and_the_last_one_kept_ends_when_it_ended():
    def moment(second: int) -> int:
        return MOMENT + second

    said = [token for second in range(8) for token in (moment(second), 1, 2, 3, moment(second + 1))]
    kept = without_loops(said, MOMENT, 4)
    assert kept == tuple(said[:20])
    behind = [moment(8), 9, moment(9)]
    assert without_loops(said + behind, MOMENT, 4) == (*said[:20], *behind)


def test_cutting_ends_and_leaves_no_loop_whatever_was_said():
    draw = random.Random(4)
    for _ in range(300):
        tokens = [draw.choice([1, 2, MOMENT + 5]) for _ in range(draw.randrange(120))] + [3] * draw.randrange(30)
        kept = without_loops(tokens, MOMENT, 4)
        assert find_loop([token for token in kept if token < MOMENT], 4) is None
        assert set(kept) <= set(tokens)
