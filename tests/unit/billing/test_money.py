"""Amounts as people read and write them, and what a usage costs."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.money import MAX_NANO, format_dollars, parse_dollars
from parley.core.price import FREE, Price, charge_nano
from parley.core.usage import Usage

counts = st.integers(0, 2**31)
nanos = st.integers(0, 10**9)


@given(st.integers(-MAX_NANO, MAX_NANO))
def test_an_amount_is_written_exactly(nano):
    text = format_dollars(nano)
    assert Fraction(text.replace("$", "")) == Fraction(nano, 10**9)
    assert len(text.partition(".")[2]) >= 2


@given(st.integers(0, MAX_NANO))
def test_what_is_written_is_read_back(nano):
    assert parse_dollars(format_dollars(nano)) == nano


@pytest.mark.parametrize("text", ["", "1e3", "-1", "1.0000000001", "1,5", "NaN", "99999999999", "$", "10000000.01"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match="amount"):
        parse_dollars(text)


@given(counts, counts, counts, st.lists(nanos, min_size=5, max_size=5))
def test_a12_a_charge_is_the_exact_sum_of_its_parts(new, cached, output, numbers):
    price = Price(
        version="p",
        input_token_nano=numbers[0],
        cached_token_nano=numbers[1],
        output_token_nano=numbers[2],
        audio_second_nano=numbers[3],
        training_token_nano=numbers[4],
        image_nano=(("256x256", 16_000_000), ("512x512", 18_000_000)),
    )
    usage = Usage(
        input_tokens=new + cached,
        cached_tokens=cached,
        output_tokens=output,
        audio_seconds=7,
        training_tokens=9,
        images=(("512x512", 3),),
    )
    wanted = new * numbers[0] + cached * numbers[1] + output * numbers[2] + 7 * numbers[3] + 9 * numbers[4] + 54_000_000
    assert charge_nano(price, usage) == wanted


@given(counts, counts)
def test_charging_two_parts_is_charging_their_sum(first, second):
    price = Price(version="p", input_token_nano=3, output_token_nano=7, image_nano=(("512x512", 5),))
    one = Usage(input_tokens=first, output_tokens=second, images=(("512x512", 1),))
    two = Usage(input_tokens=second, output_tokens=first, images=(("512x512", 2),))
    assert charge_nano(price, one) + charge_nano(price, two) == charge_nano(price, one + two)


def test_a_picture_of_a_size_without_a_price_is_no_free_one():
    price = Price(version="p", image_nano=(("512x512", 5),))
    with pytest.raises(ValueError, match="1024x1024"):
        charge_nano(price, Usage(images=(("1024x1024", 1),)))


def test_what_is_free_costs_nothing():
    assert charge_nano(FREE, Usage(input_tokens=9, output_tokens=9, images=(("512x512", 1),))) == 0
