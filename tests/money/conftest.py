"""The environment of these tests holds no setting, whatever the machine's holds."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PARLEY_"):
            monkeypatch.delenv(name)
