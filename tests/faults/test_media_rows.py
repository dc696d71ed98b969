"""Bombs, broken files of sound and uploads that are left, small; `make faults` runs them whole and looks at the times."""

from pathlib import Path

from tests.faults.hours_rows import g1_hours
from tests.faults.media_rows import g1, g3, g15
from tests.faults.process_rows import SMALL


async def holds(row, folder: Path) -> None:
    figures = await row(folder, SMALL)
    assert figures
    assert [figure for figure in figures if not figure.holds and not figure.is_timing] == []


async def test_g1_hours_of_silence_are_refused_while_others_are_answered(tmp_path):
    await holds(g1, tmp_path)


async def test_g1_a_long_recording_is_heard_to_its_end_in_the_memory_of_a_short_one(tmp_path):
    await holds(g1_hours, tmp_path)


async def test_g3_broken_files_are_heard_or_refused_and_the_server_lives(tmp_path):
    await holds(g3, tmp_path)


async def test_g15_uploads_that_are_left_half_way_leave_nothing(tmp_path):
    await holds(g15, tmp_path)
