"""What `parley serve` shows: the address, the key or its place, the model honestly, and a line to paste."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from parley.app import Started
from parley.cli.serve import banner
from parley.core.snapshot import EngineKind, Weights
from parley.infra.settings import default_data_folder

WEIGHTS = Weights(
    name="parley-mini",
    engine=EngineKind.LLAMA,
    path=Path("/m.gguf"),
    sha256="0" * 64,
    context_length=8192,
    template="chatml",
    num_parameters=4_951_296,
    description="A small demonstration model.",
)


def started(owner_key: str | None) -> Started:
    return Started(
        url="http://127.0.0.1:8000", weights=WEIGHTS, owner_key=owner_key, owner_key_path=Path("/d/owner.key")
    )


def test_the_first_start_shows_the_key_and_keeps_it_out_of_the_line_to_paste() -> None:
    shown = banner(started("sk-new"))
    assert "http://127.0.0.1:8000/v1" in shown
    assert "key    sk-new   (shown once; kept in /d/owner.key)" in shown
    assert "Bearer $(cat '/d/owner.key')" in shown
    assert shown.count("sk-new") == 1


def test_the_line_for_another_terminal_is_the_real_command_on_the_real_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / ".venv" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "parley").touch()
    monkeypatch.setattr(sys, "executable", str(scripts / "python"))
    monkeypatch.chdir(tmp_path)
    assert "\n  .venv/bin/parley chat --data /d   in another terminal." in banner(started(None))
    usual = replace(started(None), owner_key_path=default_data_folder() / "owner.key")
    assert "\n  .venv/bin/parley chat   in another terminal." in banner(usual)


def test_without_a_script_the_line_for_another_terminal_names_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert f"\n  {tmp_path}/python -m parley.cli.main chat --data /d   in" in banner(started(None))


def test_later_starts_show_where_the_key_is() -> None:
    shown = banner(started(None))
    assert "key    in /d/owner.key" in shown
    assert "Bearer $(cat '/d/owner.key')" in shown


def test_the_model_is_named_for_what_it_is() -> None:
    assert "parley-mini, 5.0 million parameters. A small demonstration model." in banner(started(None))
