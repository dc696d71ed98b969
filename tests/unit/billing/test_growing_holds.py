"""Holds that are made larger while their request runs: as far as there is room, and without an error once bytes were sent."""

from dataclasses import replace

import pytest

from parley.core.clock import FakeClock
from parley.core.errors import RateLimited
from parley.core.hold import Hold, Need
from parley.core.price import FREE
from parley.domain.billing.books import Books
from parley.serving.admission.audio import AudioAllowance
from tests.builders_billing import PRICE, need, principal

# 10 prompt tokens at 2 and 10 output tokens at 3.
WORST = 50
HEARING = replace(FREE, audio_second_nano=1)


def books_with(nano: int) -> Books:
    books = Books(FakeClock())
    books.add_credit("org-a", nano)
    return books


def text_hold(books: Books) -> Hold:
    return books.open_hold("req_1", principal(), PRICE, need())


def audio_hold(books: Books, num_seconds: int = 60) -> Hold:
    return books.open_hold("req_1", principal(), HEARING, Need(audio_seconds=num_seconds))


def state(books: Books, hold: Hold) -> tuple[int, int, int]:
    return hold.amount_nano, books.held_nano("org-a"), books.available_nano("org-a")


def test_what_was_used_already_is_covered_where_there_is_room_for_it() -> None:
    books = books_with(100)
    hold = text_hold(books)
    books.cover(hold, 30)
    assert state(books, hold) == (WORST + 30, WORST + 30, 20)


def test_what_was_used_already_is_covered_no_further_than_the_balance_goes() -> None:
    books = books_with(WORST + 7)
    hold = text_hold(books)
    books.cover(hold, 1_000)
    assert state(books, hold) == (WORST + 7, WORST + 7, 0)
    assert books.close(hold, 10_000).charge_nano == WORST + 7
    assert books.account("org-a").credit_nano == 0


def test_what_was_used_already_is_covered_no_further_than_a_budget_goes() -> None:
    books = books_with(1_000)
    books.set_budget("proj_a", WORST + 4)
    hold = text_hold(books)
    books.cover(hold, 1_000)
    assert hold.amount_nano == WORST + 4


def test_nothing_more_is_covered_for_a_frozen_account_and_that_is_no_error() -> None:
    books = books_with(1_000)
    hold = text_hold(books)
    books.set_frozen("org-a", is_frozen=True)
    books.cover(hold, 30)
    assert state(books, hold) == (WORST, WORST, 1_000 - WORST)


def test_a_hold_that_was_given_back_is_not_covered_any_more() -> None:
    books = books_with(1_000)
    hold = text_hold(books)
    books.release(hold)
    books.cover(hold, 30)
    assert state(books, hold) == (WORST, 0, 1_000)


def test_output_that_costs_nothing_goes_on_where_the_balance_is_at_its_end() -> None:
    books = books_with(20)
    hold = books.open_hold("req_1", principal(), replace(PRICE, output_token_nano=0), need())
    assert (books.available_nano("org-a"), books.extend(hold, 512)) == (0, 512)


def test_a_recording_whose_hold_was_given_back_holds_nothing_more() -> None:
    books = books_with(1_000)
    hold = audio_hold(books)
    books.release(hold)
    assert books.extend_audio(hold, 60, least=1) == 60
    assert state(books, hold) == (60, 0, 1_000)


def test_a_recording_goes_on_where_just_what_it_must_have_is_affordable() -> None:
    books = books_with(70)
    hold = audio_hold(books)
    assert books.extend_audio(hold, 60, least=10) == 10
    assert state(books, hold) == (70, 70, 0)


def test_half_a_second_beyond_what_a_recording_is_held_for_needs_nothing_more() -> None:
    books = books_with(60)
    hold = audio_hold(books)
    AudioAllowance(hold, books, num_seconds=60).cover(60.5)
    assert hold.amount_nano == 60


def test_a_recording_that_is_longer_than_it_said_grows_by_a_minute_at_a_time() -> None:
    books = books_with(1_000)
    hold = audio_hold(books)
    allowance = AudioAllowance(hold, books, num_seconds=60)
    amounts = []
    for seconds in (60.6, 120.0, 120.6, 300.0):
        allowance.cover(seconds)
        amounts.append(hold.amount_nano)
    assert amounts == [120, 120, 180, 300]


def test_a_recording_is_not_heard_on_where_not_all_of_it_so_far_is_affordable() -> None:
    books = books_with(70)
    hold = audio_hold(books)
    allowance = AudioAllowance(hold, books, num_seconds=60)
    allowance.cover(70.5)
    with pytest.raises(RateLimited, match="quota"):
        allowance.cover(70.6)
    assert state(books, hold) == (70, 70, 0)
