"""The choice of a token: exactly what OpenAI's parameters say, for vocabularies of any size."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.requests import Sampling
from parley.workers.choice import Chooser, best_of, draw, log_probabilities

NUM_TOKENS = 50


def chooser(*, index: int = 0, num_tokens: int = NUM_TOKENS, **sampling: object) -> Chooser:
    return Chooser(Sampling(**sampling), index=index, num_tokens=num_tokens)  # type: ignore[arg-type]


def flat(num_tokens: int = NUM_TOKENS) -> np.ndarray:
    return np.zeros(num_tokens, dtype=np.float32)


def drawn(chosen: Chooser, logits: np.ndarray, count: int) -> list[int]:
    return [chosen.choose(logits.copy()) for _ in range(count)]


def test_penalties_are_presence_once_and_frequency_for_each_time() -> None:
    chosen = chooser(temperature=0.0, presence_penalty=1.5, frequency_penalty=0.25, logit_bias={7: 3.0})
    fines = []
    for _ in range(4):
        row = flat()
        chosen.bend(row)
        fines.append(row[7])
        assert not row[:7].any()
        row[7] = 100.0
        assert chosen.choose(row) == 7
    assert fines == [3.0, 3.0 - 1.75, 3.0 - 2.0, 3.0 - 2.25]


def test_hundreds_of_different_tokens_are_each_fined_for_their_own_count() -> None:
    chosen = chooser(temperature=0.0, presence_penalty=0.5, frequency_penalty=1.0)
    for token_id in [*range(40), *range(20), 3]:
        row = flat()
        row[token_id] = 1000.0
        assert chosen.choose(row) == token_id
    row = flat()
    chosen.bend(row)
    assert row.tolist() == [
        -2.5 if t < 20 and t != 3 else -3.5 if t == 3 else -1.5 if t < 40 else 0.0 for t in range(50)
    ]


def test_negative_penalties_favour_repetition() -> None:
    chosen = chooser(temperature=0.0, presence_penalty=-1.0)
    assert drawn(chosen, flat(), 1) == [0]
    row = flat()
    chosen.bend(row)
    assert row[0] == 1.0


def test_a_bias_of_minus_100_bans_and_one_of_100_forces() -> None:
    logits = np.linspace(0, 300, NUM_TOKENS, dtype=np.float32)
    for temperature in (0.0, 2.0):
        chosen = chooser(temperature=temperature, logit_bias={NUM_TOKENS - 1: -100.0, 2: 100.0, 3: 100.0})
        row = logits.copy()
        chosen.bend(row)
        assert {chosen.choose(row.copy()) for _ in range(50)} <= {2, 3}
    banned = chooser(temperature=2.0, logit_bias=dict.fromkeys(range(1, NUM_TOKENS), -100.0))
    row = logits.copy()
    banned.bend(row)
    assert banned.choose(row) == 0


def test_bans_give_way_where_they_would_leave_nothing_of_what_a_grammar_leaves() -> None:
    for temperature in (0.0, 2.0):
        chosen = chooser(temperature=temperature, logit_bias={5: -100.0, 6: -100.0, 8: 100.0})
        row = np.full(NUM_TOKENS, -np.inf, dtype=np.float32)
        row[5], row[6] = -700.0, 1.0
        chosen.bend(row)
        assert row[5] == -700.0
        assert np.isneginf(row[8])
        assert chosen.choose(row.copy()) == 6
        row[7] = -900.0
        chosen.bend(row)
        assert chosen.choose(row) == 7, "one token is left that is not banned"


def test_a_bias_outside_the_vocabulary_is_without_effect() -> None:
    row = flat()
    chooser(logit_bias={NUM_TOKENS: 5.0, -1: 5.0}).bend(row)
    assert not row.any()


def test_zero_temperature_is_the_best_token_whatever_else_is_said() -> None:
    logits = np.random.default_rng(1).normal(size=NUM_TOKENS).astype(np.float32)
    assert set(drawn(chooser(temperature=0.0, top_p=0.5, seed=1), logits, 20)) == {int(logits.argmax())}


def test_the_smallest_temperatures_do_not_overflow() -> None:
    logits = np.linspace(-50, 50, NUM_TOKENS, dtype=np.float32)
    assert set(drawn(chooser(temperature=1e-6), logits, 20)) == {NUM_TOKENS - 1}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_their_probability_says(temperature: float) -> None:
    logits = np.array([2.0, 1.0, 0.0, -1.0], dtype=np.float32)
    counts = Counter(drawn(chooser(temperature=temperature, seed=5, num_tokens=4), logits, 20_000))
    weights = [math.exp(logit / temperature) for logit in logits.tolist()]
    for token_id, weight in enumerate(weights):
        # Four standard deviations of 20,000 draws are less than 0.015.
        assert counts[token_id] / 20_000 == pytest.approx(weight / sum(weights), abs=0.015)


def test_top_p_cuts_after_temperature() -> None:
    """At temperature 1 the best has 0.67 of the weight and is alone in a nucleus of 0.6; at 2 it has 0.48 and is not."""
    logits = np.array([2.0, 1.0, 0.0, -8.0], dtype=np.float32)
    assert set(drawn(chooser(temperature=1.0, top_p=0.6, num_tokens=4, seed=1), logits, 300)) == {0}
    assert set(drawn(chooser(temperature=2.0, top_p=0.6, num_tokens=4, seed=1), logits, 300)) == {0, 1}


def nucleus(weights: np.ndarray, top_p: float) -> set[int]:
    """By sorting: the fewest most probable that reach the share, equals by their id."""
    order = np.argsort(-weights, kind="stable")
    before = np.cumsum(weights[order], dtype=np.float64) - weights[order]
    kept = order[before < top_p * weights.sum(dtype=np.float64)]
    return {int(order[0]), *kept.tolist()}


@given(
    # Weights that floats add up without rounding, many of them equal.
    st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=40),
    st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 0.95]),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=60, max_size=60),
    st.integers(1, 40),
)
def test_a_draw_stays_within_the_fewest_that_reach_top_p(some, top_p, chances, repeats):
    weights = np.tile(np.array([1.0, *some], dtype=np.float32), repeats)
    last_resort = itertools.chain(chances, itertools.repeat(0.0))
    assert draw(weights.copy(), top_p, lambda: next(last_resort)) in nucleus(weights, top_p)


def test_within_top_p_tokens_come_as_often_as_their_probability_says() -> None:
    """Of four equal tokens and one of half their weight, a share of 0.6 holds three."""
    logits = np.log(np.array([0.5, 1.0, 1.0, 1.0, 1.0], dtype=np.float32))
    counts = Counter(drawn(chooser(temperature=1.0, top_p=0.6, seed=3, num_tokens=5), logits, 9_000))
    assert sorted(counts) == [1, 2, 3]
    # Four standard deviations of 9,000 draws are 0.02.
    assert [counts[token_id] / 9_000 for token_id in (1, 2, 3)] == pytest.approx([1 / 3] * 3, abs=0.02)


def test_one_seed_gives_one_sequence_and_each_index_its_own() -> None:
    def said(seed: int, index: int) -> tuple[int, ...]:
        return tuple(drawn(chooser(temperature=1.0, seed=seed, index=index), flat(), 20))

    assert said(5, 0) == said(5, 0)
    assert len({said(5, 0), said(5, 1), said(-5, 0), said(2**63, 0), said(0, 0)}) == 5
    # A round of two sequences and a second round say what one round of all would.
    assert said(5, 1) == said(6, 0)


def test_without_a_seed_no_two_sequences_are_alike() -> None:
    assert len({tuple(drawn(chooser(temperature=1.0), flat(), 20)) for _ in range(10)}) == 10


def test_log_probabilities_sum_to_one_and_the_best_are_sorted() -> None:
    rows = np.random.default_rng(2).normal(scale=5, size=(3, 1000)).astype(np.float32)
    logs = log_probabilities(rows)
    assert np.exp(logs.astype(np.float64)).sum(axis=1) == pytest.approx([1.0] * 3, abs=1e-5)
    assert best_of(logs, 5).tolist() == np.argsort(-rows, axis=1, kind="stable")[:, :5].tolist()
    assert best_of(logs, 0).shape == (3, 0)


def test_equal_alternatives_stand_in_the_order_of_their_ids() -> None:
    assert best_of(np.zeros((1, 6), dtype=np.float32), 6).tolist() == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_broken_model_gets_some_token_and_no_crash() -> None:
    row = np.full(NUM_TOKENS, np.nan, dtype=np.float32)
    for sampling in ({"temperature": 0.0}, {"temperature": 1.0}):
        assert 0 <= chooser(**sampling).choose(row.copy()) < NUM_TOKENS
