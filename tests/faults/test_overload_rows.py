"""Overload, storms of retries and what times tell, row by row, small; `make faults` runs them whole and looks at the times."""

from pathlib import Path

from tests.faults.overload_rows import e1, e2, i7, i11, i15, separation, welch
from tests.faults.process_rows import SMALL


async def holds(row, folder: Path) -> None:
    figures = await row(folder, SMALL)
    assert figures
    assert [figure for figure in figures if not figure.holds and not figure.is_timing] == []


async def test_e1_ten_times_the_load_is_answered_or_refused_and_nothing_else(tmp_path):
    await holds(e1, tmp_path)


async def test_e2_clients_that_retry_are_all_answered_once_the_engine_is_back(tmp_path):
    await holds(e2, tmp_path)


async def test_i7_a_revoked_key_no_longer_counts_and_what_ran_with_it_is_ended_and_settled(tmp_path):
    await holds(i7, tmp_path)


async def test_i8_i11_keys_that_are_nearly_right_are_refused_like_others(tmp_path):
    await holds(i11, tmp_path)


async def test_i15_a_strangers_prompt_is_read_as_an_unseen_one(tmp_path):
    await holds(i15, tmp_path)


def test_times_that_differ_are_told_apart_and_others_are_not():
    assert separation([1, 2, 3], [4, 5, 6]) == 1.0
    assert separation([1, 2, 3], [1, 2, 3]) == 0.5
    assert abs(welch([1.0, 2.0, 3.0] * 100, [1.1, 2.1, 3.1] * 100)) < 4.5
    assert abs(welch([1.0, 2.0, 3.0] * 100, [2.0, 3.0, 4.0] * 100)) > 4.5
