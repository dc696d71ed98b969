"""An upstream's count beside our own: what is charged, and what is doubted."""

import pytest

from parley.core.usage import Doubt
from parley.serving.engines.openai_server.tally import (
    Count,
    bounded,
    count_chunk,
    judge_input,
    judge_output,
    unseen_tokens,
    widen,
)


def judged(reported: int | None, counted: Count, *, num_unseen: int = 0, num_sequences: int = 1):
    return judge_output(reported, bounded(counted, num_unseen=num_unseen, most=None), num_sequences=num_sequences)


@pytest.mark.parametrize("reported", [80, 42, 0, -7])
def test_a_count_that_deviates_by_more_than_a_token_is_disputed_and_ours_holds(reported: int) -> None:
    assert judged(reported, Count(40, 40)) == (40, Doubt.DISPUTED)


def test_of_two_counts_the_lower_one_holds() -> None:
    assert judged(20, Count(40, 40)) == (20, Doubt.DISPUTED)


def test_a_missing_count_is_ours() -> None:
    assert judged(None, Count(40, 40)) == (40, Doubt.ESTIMATED)


@pytest.mark.parametrize(("reported", "charged"), [(39, 39), (40, 40), (41, 40)])
def test_the_token_that_ends_a_sequence_may_be_counted_or_not(reported: int, charged: int) -> None:
    assert judged(reported, Count(40, 40)) == (charged, None)


def test_each_sequence_may_have_an_end_token() -> None:
    assert judged(43, Count(40, 40), num_sequences=3) == (40, None)
    assert judged(44, Count(40, 40), num_sequences=3) == (40, Doubt.DISPUTED)


def test_a_sequence_that_ended_at_once_is_no_lie() -> None:
    assert judged(0, Count(0, 0)) == (0, None)
    assert judged(1, Count(0, 0), num_unseen=3) == (1, None)


def test_named_tokens_are_counted_exactly_whatever_the_text() -> None:
    assert count_chunk("a b c", num_named=3) == Count(3, 3)
    assert count_chunk("", num_named=1) == Count(1, 1)


def test_a_chunk_without_names_is_one_token_unless_its_characters_took_several() -> None:
    assert count_chunk("word", num_named=None) == Count(1, 1)
    assert count_chunk("", num_named=None) == Count(0, 0)
    assert count_chunk("🦊", num_named=None) == Count(1, 4)


def test_our_own_tokenizer_counts_what_a_server_sent_in_large_chunks() -> None:
    counted = widen(Count(3, 3), 40)
    assert judged(41, counted, num_unseen=3) == (41, None)
    assert judged(80, counted, num_unseen=3) == (40, Doubt.DISPUTED)


def test_what_no_chunk_can_show_is_allowed_for_unless_the_tokens_were_named() -> None:
    assert unseen_tokens(is_exact=True, stop=("never",)) == 0
    assert unseen_tokens(is_exact=False, stop=()) == 3
    assert unseen_tokens(is_exact=False, stop=("a", "five!")) == 8


def test_nothing_beyond_what_was_asked_for_is_counted_whatever_the_text_allows() -> None:
    assert bounded(Count(5, 20), num_unseen=3, most=5) == Count(5, 5)
    assert bounded(Count(9, 9), num_unseen=0, most=5) == Count(5, 5)
    assert bounded(Count(5, 20), num_unseen=3, most=22) == Count(5, 22)
    assert bounded(Count(5, 20), num_unseen=3, most=None) == Count(5, 23)


@pytest.mark.parametrize("reported", [0, -1, 10_000])
def test_an_impossible_count_of_an_unknown_prompt_leaves_the_estimate(reported: int) -> None:
    assert judge_input(reported, known=None, estimated=7, most=100) == (7, Doubt.DISPUTED)


def test_a_possible_count_of_an_unknown_prompt_replaces_the_estimate() -> None:
    assert judge_input(12, known=None, estimated=7, most=100) == (12, None)
    assert judge_input(None, known=None, estimated=7, most=100) == (7, Doubt.ESTIMATED)


@pytest.mark.parametrize(("reported", "doubt"), [(24, Doubt.DISPUTED), (13, None), (None, None), (0, Doubt.DISPUTED)])
def test_a_prompt_that_was_tokenised_here_has_our_count(reported: int | None, doubt: Doubt | None) -> None:
    assert judge_input(reported, known=12, estimated=1, most=1) == (12, doubt)
