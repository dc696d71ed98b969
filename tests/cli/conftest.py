"""The environment of these tests holds no setting, whatever the machine's holds; and a folder on which a server has started."""

import asyncio
import os
from pathlib import Path

import pytest

from parley.core.clock import FakeClock
from parley.operations.first_start import ensure_owner
from parley.operations.records import open_records
from tests.builders_records import settings_in


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PARLEY_"):
            monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder as the first start leaves it; no server runs on it."""

    async def start() -> None:
        async with open_records(settings_in(tmp_path / "data"), FakeClock()) as records:
            await ensure_owner(records, None)

    asyncio.run(start())
    return tmp_path / "data"
