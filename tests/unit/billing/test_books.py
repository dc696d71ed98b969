"""The books: what may be held, what a charge draws on, and that nothing is ever below nothing."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.clock import FakeClock
from parley.core.errors import RateLimited
from parley.core.hold import Need
from parley.core.price import FREE
from parley.domain.billing.books import Books
from parley.domain.billing.model import Grant
from tests.builders_billing import DAY_SECONDS, PRICE, need, principal

# 10 prompt tokens at 2 and 10 output tokens at 3.
WORST = 50


def books_with(nano=0, *, clock=None, grants=(), open_organization=None):
    books = Books(clock or FakeClock(), open_organization=open_organization)
    if nano:
        books.add_credit("org-a", nano)
    for name, left, days in grants:
        expires_at = FakeClock().now() + days * DAY_SECONDS
        books.add_grant(
            Grant(id=name, organization_id="org-a", amount_nano=left, expires_at=expires_at, left_nano=left)
        )
    return books


def hold(books, request_id="req_1", wanted=None, who=None, price=PRICE):
    return books.open_hold(request_id, who or principal(), price, wanted or need())


def refusal(books, **changes):
    with pytest.raises(RateLimited) as caught:
        hold(books, "req_refused", **changes)
    return caught.value.kind, caught.value.code, caught.value.retry_after_seconds


def test_a_hold_takes_its_worst_case_and_a_charge_gives_back_the_rest():
    books = books_with(100)
    held = hold(books)
    assert (held.amount_nano, books.available_nano("org-a")) == (WORST, 50)
    closed = books.close(held, 12)
    assert (closed.charge_nano, books.available_nano("org-a"), books.held_nano("org-a")) == (12, 88, 0)
    assert [(p.debit, p.credit, p.amount_nano) for p in closed.postings] == [("credit:org-a", "revenue", 12)]


def test_a_prompt_is_held_for_as_if_all_of_it_were_of_the_dearer_kind():
    books = books_with(1_000)
    # Whether a token is cached is known when the engine has read it.
    held = hold(books, price=replace(PRICE, cached_token_nano=5))
    assert held.amount_nano == 10 * 5 + 10 * 3


def test_no_more_is_held_than_is_there():
    books = books_with(2 * WORST + 49)
    hold(books, "req_1")
    hold(books, "req_2")
    assert refusal(books) == ("insufficient_quota", "insufficient_quota", None)
    assert books.available_nano("org-a") == 49


def test_the_last_nano_dollar_can_be_spent():
    books = books_with(WORST)
    books.close(hold(books), WORST)
    assert books.available_nano("org-a") == 0
    assert refusal(books)[1] == "insufficient_quota"


def test_a_free_model_needs_no_balance():
    books = books_with(0)
    assert books.close(hold(books, price=FREE), 0).postings == ()


def test_a_charge_is_never_more_than_was_held():
    books = books_with(100)
    assert books.close(hold(books), 1_000).charge_nano == WORST
    assert books.available_nano("org-a") == 50


def test_a_charge_is_never_less_than_nothing():
    books = books_with(100)
    closed = books.close(hold(books), -7)
    assert (closed.charge_nano, closed.postings, books.available_nano("org-a")) == (0, (), 100)


def test_a_hold_is_closed_once():
    books = books_with(100)
    held = hold(books)
    books.close(held, 1)
    with pytest.raises(RuntimeError):
        books.close(held, 1)
    books.release(held)
    assert books.available_nano("org-a") == 99


def test_a_request_has_one_hold_at_a_time():
    books = books_with(1_000)
    held = hold(books)
    with pytest.raises(RuntimeError):
        hold(books)
    books.release(held)
    hold(books)


def test_what_is_wanted_without_need_is_held_as_far_as_the_balance_goes():
    books = books_with(20 + 3 * 4 + 2)
    held = hold(books, wanted=need(10, 512, at_least=1))
    assert (held.num_output_tokens, held.amount_nano, books.available_nano("org-a")) == (4, 32, 2)


def test_a_hold_grows_by_what_is_affordable_and_then_no_further():
    books = books_with(WORST + 3 * 5 + 1)
    held = hold(books)
    assert books.extend(held, 512) == 5
    assert books.extend(held, 512) == 0
    assert (held.num_output_tokens, held.amount_nano, books.available_nano("org-a")) == (15, 65, 1)
    books.close(held, 65)
    assert books.extend(held, 512) == 0


def test_grants_are_used_before_credit_and_the_first_to_expire_first():
    books = books_with(100, grants=[("late", 10, 60), ("early", 5, 30)])
    closed = books.close(hold(books), 20)
    assert [(p.debit, p.amount_nano) for p in closed.postings] == [
        ("grant:early", 5),
        ("grant:late", 10),
        ("credit:org-a", 5),
    ]
    assert len({p.key for p in closed.postings}) == 3


def test_an_expired_grant_buys_nothing_more():
    clock = FakeClock()
    books = books_with(0, clock=clock, grants=[("old", 1_000, 30)])
    hold(books)
    clock.advance(30 * DAY_SECONDS)
    assert refusal(books)[1] == "insufficient_quota"


def test_a_grant_that_expires_while_a_request_runs_still_pays_for_it():
    clock = FakeClock()
    books = books_with(0, clock=clock, grants=[("old", WORST, 30)])
    held = hold(books)
    clock.advance(40 * DAY_SECONDS)
    assert books.expire() == []
    assert [p.debit for p in books.close(held, WORST).postings] == ["grant:old"]
    assert books.balances() == {}


def test_what_is_held_on_a_grant_that_expired_leaves_the_credit_free():
    clock = FakeClock()
    books = books_with(70, clock=clock, grants=[("grant_1", 60, 1), ("grant_2", 10, 2)])
    first = hold(books)
    clock.advance(DAY_SECONDS)
    # Of the grant that expired only what is held on it counts.
    assert books.available_nano("org-a") == 80
    clock.advance(DAY_SECONDS)
    assert books.available_nano("org-a") == 70
    second = hold(books, "req_2")
    assert books.available_nano("org-a") == 20
    assert [(posting.debit, posting.amount_nano) for posting in books.close(second, WORST).postings] == [
        ("credit:org-a", WORST)
    ]
    assert [posting.debit for posting in books.close(first, WORST).postings] == ["grant:grant_1"]
    assert books.available_nano("org-a") == 20


def test_a_request_grows_only_on_what_it_may_draw_on_whatever_the_clock_is_set_to():
    clock = FakeClock()
    books = books_with(100, clock=clock, grants=[("grant_1", 10_000, 1)])
    clock.advance(2 * DAY_SECONDS)
    held = hold(books)
    clock.advance(-2 * DAY_SECONDS)
    assert books.extend(held, 512) == 16
    books.close(held, 10_000)
    assert books.account("org-a").credit_nano == 2


def test_a_recording_grows_by_a_block_or_by_what_it_must_have():
    books = books_with(70)
    price = replace(FREE, audio_second_nano=1)
    held = hold(books, wanted=Need(audio_seconds=60), price=price)
    assert books.extend_audio(held, 60, least=5) == 10
    with pytest.raises(RateLimited, match="quota"):
        books.extend_audio(held, 60, least=1)
    assert held.amount_nano == 70


@given(random=st.randoms(use_true_random=False))
def test_nothing_is_ever_below_nothing(random):
    """Histories of holds that grow and are closed, of grants, credit and clocks that are set forth and back."""
    clock = FakeClock()
    books = books_with(random.randrange(200), clock=clock)
    holds = []
    for step in range(60):
        match random.randrange(6):
            case 0 | 1:
                with suppress(RateLimited):
                    holds.append(hold(books, f"req_{step}", need(random.randrange(20), random.randrange(1, 20))))
            case 2 if holds:
                books.extend(random.choice(holds), random.randrange(40))
            case 3 if holds:
                held = holds.pop(random.randrange(len(holds)))
                books.close(held, random.randrange(held.amount_nano + 20))
            case 4:
                expires_at = clock.now() + random.choice([1, 3_600, DAY_SECONDS])
                books.add_grant(
                    Grant(
                        id=f"grant_{step}", organization_id="org-a", amount_nano=50, expires_at=expires_at, left_nano=50
                    )
                )
            case _:
                clock.advance(random.choice([1, 3_600, DAY_SECONDS, 3 * DAY_SECONDS, -3_600, -DAY_SECONDS]))
                books.expire()
        account = books.account("org-a")
        assert account.credit_nano >= 0
        assert all(grant.left_nano >= 0 for grant in account.grants)
        assert books.held_nano("org-a") == sum(held.amount_nano for held in holds)


def test_what_is_left_of_a_grant_is_written_off_once_and_not_at_a_jump_of_the_clock():
    clock = FakeClock()
    books = books_with(0, clock=clock, grants=[("old", 70, 30)])
    clock.advance(31 * DAY_SECONDS)
    assert books.expire() == []
    clock.advance(-2 * DAY_SECONDS)
    assert books.available_nano("org-a") == 70
    clock.advance(4 * DAY_SECONDS)
    assert [(p.key, p.debit, p.credit, p.amount_nano) for p in books.expire()] == [
        ("expiry:old", "grant:old", "expired", 70)
    ]
    assert books.expire() == []


def test_a_request_that_came_as_a_grant_expired_does_not_keep_it():
    clock = FakeClock()
    books = books_with(WORST, clock=clock, grants=[("old", 70, 30)])
    clock.advance(30 * DAY_SECONDS)
    hold(books)
    clock.advance(3 * DAY_SECONDS)
    assert [(posting.key, posting.amount_nano) for posting in books.expire()] == [("expiry:old", 70)]


def test_an_open_organization_is_refused_nothing_and_its_balance_is_not_touched():
    books = books_with(10, open_organization="org-a")
    closed = books.close(hold(books, wanted=need(10**9, 10**9)), 10**10 // 2)
    assert [(p.debit, p.credit) for p in closed.postings] == [("open:org-a", "revenue")]
    assert books.available_nano("org-a") == 10


@pytest.mark.parametrize(("scope", "kind"), [("org-a", "organization"), ("proj_a", "project")])
@pytest.mark.parametrize("is_open", [True, False])
def test_a_budget_bounds_the_month_with_what_is_held_in_it(scope, kind, is_open):
    clock = FakeClock()
    books = books_with(10**9, clock=clock, open_organization="org-a" if is_open else None)
    books.set_budget(scope, 2 * WORST + 9)
    books.close(hold(books, "req_1"), WORST)
    running = hold(books, "req_2")
    assert refusal(books) == ("insufficient_quota", f"{kind}_spend_limit_exceeded", None)
    books.close(running, 0)
    books.release(hold(books, "req_3"))
    clock.advance(31 * DAY_SECONDS)
    assert books.spent_nano(scope) == 0
    hold(books, "req_4")


@pytest.mark.parametrize("is_open", [True, False])
def test_a_keys_own_budget_bounds_its_month_and_no_other_keys(is_open):
    clock = FakeClock()
    books = books_with(10**9, clock=clock, open_organization="org-a" if is_open else None)
    bounded = principal(budget_nano=2 * WORST + 9)
    books.close(hold(books, "req_1", who=bounded), WORST)
    running = hold(books, "req_2", who=bounded)
    assert refusal(books, who=bounded) == ("insufficient_quota", "key_spend_limit_exceeded", None)
    hold(books, "req_other", who=principal(key_id="key_b", budget_nano=WORST))
    books.close(running, 0)
    books.release(hold(books, "req_3", who=bounded))
    clock.advance(31 * DAY_SECONDS)
    hold(books, "req_4", who=bounded)


def test_a_budget_that_is_raised_counts_from_the_next_request_with_what_was_spent_before():
    books = books_with(10**9)
    books.close(hold(books, "req_1", who=principal(budget_nano=WORST)), WORST)
    assert refusal(books, who=principal(budget_nano=2 * WORST - 1))[1] == "key_spend_limit_exceeded"
    hold(books, "req_2", who=principal(budget_nano=2 * WORST))


def test_a_request_that_grows_stops_at_its_keys_budget():
    books = books_with(10**9)
    held = hold(books, wanted=need(10, 10), who=principal(budget_nano=WORST + 7))
    assert (books.extend(held, 512), books.extend(held, 512)) == (2, 0)


def test_a_budget_bounds_only_its_own_scope():
    books = books_with(10**9)
    books.set_budget("proj_a", 0)
    assert refusal(books)[1] == "project_spend_limit_exceeded"
    hold(books, who=principal(project_id="proj_b"))


def test_a_budget_that_is_lifted_bounds_nothing():
    books = books_with(10**9)
    books.set_budget("proj_a", 0)
    books.set_budget("proj_a", None)
    hold(books)


def test_a_clock_that_jumps_back_over_the_turn_of_the_month_frees_no_budget():
    clock = FakeClock()
    books = books_with(10**9, clock=clock)
    books.set_budget("proj_a", WORST)
    books.close(hold(books), WORST)
    clock.advance(31 * DAY_SECONDS)
    hold(books, "req_2")
    clock.advance(-31 * DAY_SECONDS)
    assert refusal(books)[1] == "project_spend_limit_exceeded"


def test_a_frozen_account_buys_nothing_until_it_is_thawed():
    books = books_with(1_000)
    books.set_frozen("org-a", is_frozen=True)
    assert refusal(books)[:2] == ("billing_not_active", "billing_not_active")
    books.set_frozen("org-a", is_frozen=False)
    hold(books)


def test_a_reply_that_has_begun_when_its_account_is_frozen_gets_no_more_and_pays_for_what_it_had():
    books = books_with(1_000)
    held = hold(books)
    books.set_frozen("org-a", is_frozen=True)
    # Not an error: bytes were sent, so it ends with "length".
    assert books.extend(held, 512) == 0
    assert books.close(held, 20).charge_nano == 20
    assert books.available_nano("org-a") == 980


def test_organizations_do_not_share_money():
    books = books_with(1_000)
    assert refusal(books, who=principal("org-b"))[1] == "insufficient_quota"
