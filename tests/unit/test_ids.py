"""Identifiers."""

import random
import re

from parley.core.ids import base62, new_id, new_ordered_id


def test_an_identifier_is_its_prefix_and_22_digits():
    for made in (new_id("key_"), new_ordered_id("key_", 0.0), new_ordered_id("key_", 1e11)):
        assert re.fullmatch("key_[0-9A-Za-z]{22}", made)


def test_identifiers_sort_by_the_millisecond_in_which_they_were_made():
    chance = random.Random(7)
    times = [1_677_628_800 + step / 1000 + 0.0005 for step in sorted(chance.sample(range(10**9), 500))]
    made = [new_ordered_id("req_", now) for now in times]
    assert made == sorted(made)


def test_identifiers_of_one_moment_differ():
    assert len({new_ordered_id("req_", 1.0) for _ in range(1000)}) == 1000


def test_an_ordered_identifier_begins_with_its_millisecond() -> None:
    for millisecond in (0, 61, 62, 1_700_000_000_061, 1_700_000_000_062, 1_700_000_000_000, 62**8 - 1):
        assert new_ordered_id("req_", (millisecond + 0.5) / 1000).startswith(f"req_{base62(millisecond, width=8)}")
