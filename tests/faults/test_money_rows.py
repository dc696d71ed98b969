"""The faults of money, row by row, small; `make faults` runs them at their full size. A1 is small in `test_money`."""

from pathlib import Path

import pytest

from tests.faults.money_rows import a3, a4, a4_on_postgresql, a5, a6
from tests.faults.process_rows import SMALL
from tests.postgres import MISSING, is_installed


async def holds(row, folder: Path) -> None:
    figures = await row(folder, SMALL)
    assert figures
    assert [figure for figure in figures if not figure.holds and not figure.is_timing] == []


async def test_a3_streams_that_are_cut_anywhere_cost_what_was_generated(tmp_path):
    await holds(a3, tmp_path)


async def test_a4_a8_b1_the_ledger_is_the_truth_whenever_the_server_is_killed(tmp_path):
    await holds(a4, tmp_path)


@pytest.mark.skipif(not is_installed(), reason=MISSING)
async def test_a4_b1_the_ledger_is_the_truth_on_postgresql_too(tmp_path):
    await holds(a4_on_postgresql, tmp_path)


async def test_a5_a_server_that_is_stopped_and_started_again_loses_no_row(tmp_path):
    await holds(a5, tmp_path)


async def test_a6_a_commit_that_fails_is_answered_to_nobody_and_charged_once(tmp_path):
    await holds(a6, tmp_path)
