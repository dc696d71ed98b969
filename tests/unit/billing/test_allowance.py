"""How far a hold lets a request generate: whole where the maximum is stated, in blocks where it is not."""

import pytest

from parley.core.grant import PreparedPrompt
from parley.core.hold import Hold
from parley.serving.admission.allowance import BLOCK_TOKENS, Allowance, most_tokens, need_of
from tests.builders_billing import PRICE, principal
from tests.builders_serving import completion

PROMPT = PreparedPrompt(token_ids=(1, 2, 3))


class Purse:
    """Lends as long as it has tokens."""

    def __init__(self, num_tokens):
        self.left = num_tokens
        self.asked = []

    def extend(self, hold, num_tokens):
        self.asked.append(num_tokens)
        lent = min(num_tokens, self.left)
        self.left -= lent
        hold.num_output_tokens += lent
        return lent


def allowance(purse, *, covered, most):
    hold = Hold(
        request_id="req_1",
        principal=principal(),
        price=PRICE,
        amount_nano=0,
        opened_at=0.0,
        num_output_tokens=covered,
    )
    return Allowance(hold, purse, most_tokens=most)


def test_a_stated_maximum_is_needed_whole():
    request = completion("a", "b", max_tokens=5, n=2, best_of=3)
    need = need_of(request, [PROMPT, PROMPT], [5, 5])
    assert (need.input_tokens, need.min_output_tokens, need.output_tokens) == (6, 30, 30)
    assert most_tokens(request, [5, 5]) == 30


def test_without_one_a_block_for_each_sequence_is_wanted_and_a_token_for_each_needed():
    need = need_of(completion("a", n=2), [PROMPT], [4_000])
    assert (need.min_output_tokens, need.output_tokens) == (2, 2 * BLOCK_TOKENS)


def test_without_one_no_more_is_wanted_than_the_context_has_room_for():
    need = need_of(completion("a"), [PROMPT], [7])
    assert (need.min_output_tokens, need.output_tokens) == (1, 7)


def test_an_echo_alone_needs_no_output():
    need = need_of(completion("a", max_tokens=0, echo=True), [PROMPT], [0])
    assert (need.min_output_tokens, need.output_tokens) == (0, 0)


def test_what_is_held_whole_asks_for_nothing_more():
    purse = Purse(10_000)
    allowed = allowance(purse, covered=100, most=100)
    assert all(allowed.covers(count) for count in range(101))
    assert purse.asked == []


def test_blocks_are_asked_for_before_they_are_needed_and_never_beyond_the_most():
    purse = Purse(10_000)
    allowed = allowance(purse, covered=512, most=1_200)
    lent_at = []
    for count in range(1, 1_201):
        before = len(purse.asked)
        assert allowed.covers(count)
        if len(purse.asked) > before:
            lent_at.append(count)
    assert purse.asked == [512, 176]
    assert all(at < covered for at, covered in zip(lent_at, (512, 1_024), strict=True))


@pytest.mark.parametrize("extra", [0, 1, 40])
def test_what_is_refused_ends_the_request_at_the_last_token_that_is_paid(extra):
    allowed = allowance(Purse(extra), covered=512, most=4_000)
    count = 0
    while allowed.covers(count):
        count += 1
    assert count == 512 + extra
    assert allowed.is_exhausted


def test_what_came_at_once_is_asked_for_at_once_and_not_by_the_block():
    purse = Purse(10_000)
    allowed = allowance(purse, covered=512, most=8_000)
    assert allowed.covers(4_000)
    assert purse.asked == [4_000 + 32 - 512]
    assert allowed.covers(4_001)


@pytest.mark.parametrize("extra", [0, 1, 1_000, 3_488])
def test_what_came_at_once_is_covered_as_far_as_there_is_money_and_ends_the_request(extra):
    purse = Purse(extra)
    allowed = allowance(purse, covered=512, most=8_000)
    assert not allowed.covers(4_000)
    assert (purse.left, allowed.is_exhausted) == (0, True)


def test_what_came_at_once_and_is_all_that_may_come_is_left_to_the_engine_to_end():
    allowed = allowance(Purse(10_000), covered=512, most=4_000)
    assert allowed.covers(4_000)
    assert not allowed.is_exhausted
