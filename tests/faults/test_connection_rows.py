"""Connections that trickle, idle or have no end, row by row, small; `make faults` runs them whole and looks at the times."""

from pathlib import Path

from tests.faults.connection_rows import d5, d6, d7, d11
from tests.faults.process_rows import SMALL


async def holds(row, folder: Path) -> None:
    figures = await row(folder, SMALL)
    assert figures
    assert [figure for figure in figures if not figure.holds and not figure.is_timing] == []


async def test_d5_slow_heads_are_closed(tmp_path):
    await holds(d5, tmp_path)


async def test_d6_slow_uploads_are_ended_and_leave_nothing(tmp_path):
    await holds(d6, tmp_path)


async def test_d7_heads_without_end_are_refused_and_not_kept(tmp_path):
    await holds(d7, tmp_path)


async def test_d11_idle_connections_are_closed(tmp_path):
    await holds(d11, tmp_path)
