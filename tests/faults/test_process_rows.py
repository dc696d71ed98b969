"""The faults of processes, row by row, small: what happens is looked at, how long it takes is left to `make faults`."""

from pathlib import Path

from tests.faults.process_rows import SMALL, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13


async def holds(row, folder: Path) -> None:
    figures = await row(folder, SMALL)
    assert figures
    assert [figure for figure in figures if not figure.holds and not figure.is_timing] == []


async def test_c1_a_killed_engine_ends_its_own_streams_and_nobody_elses(tmp_path):
    await holds(c1, tmp_path)


async def test_c2_an_engine_that_stands_still_is_ended_and_its_slot_comes_back(tmp_path):
    await holds(c2, tmp_path)


async def test_c3_a_poison_fails_and_the_innocents_are_answered(tmp_path):
    await holds(c3, tmp_path)


async def test_c4_an_engine_that_cannot_start_is_not_started_again_and_again(tmp_path):
    await holds(c4, tmp_path)


async def test_c5_no_engine_survives_its_server_not_even_one_that_stands_still(tmp_path):
    await holds(c5, tmp_path)


async def test_c6_a_drain_ends_what_fits_its_window_and_says_so_to_the_rest(tmp_path):
    await holds(c6, tmp_path)


async def test_c7_a_second_signal_ends_the_window_and_loses_no_record(tmp_path):
    await holds(c7, tmp_path)


async def test_c8_who_leaves_the_queue_disturbs_nobody_who_runs(tmp_path):
    await holds(c8, tmp_path)


async def test_c9_a_storm_of_aborts_ends_no_engine(tmp_path):
    await holds(c9, tmp_path)


async def test_c10_vanishing_clients_leave_no_slot_taken(tmp_path):
    await holds(c10, tmp_path)


async def test_c11_restarts_leak_nothing(tmp_path):
    await holds(c11, tmp_path)


async def test_c12_models_that_swap_never_answer_for_each_other(tmp_path):
    await holds(c12, tmp_path)


async def test_c13_readiness_is_a_generation_and_not_a_page(tmp_path):
    await holds(c13, tmp_path)
