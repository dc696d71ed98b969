"""`parley models add --projector`: a model that sees, and projectors that do not see for it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parley.cli.commands import parley
from parley.core.clock import SystemClock
from parley.operations.first_start import ensure_owner
from parley.operations.records import open_records
from tests.builders_records import settings_in
from tests.builders_vision import LINES, TOGETHER
from tests.gguf_maker import write_model
from tests.vision_maker import Eye, write_projector


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "d"

    async def start() -> None:
        async with open_records(settings_in(folder), SystemClock()) as records:
            await ensure_owner(records, None)

    asyncio.run(start())
    return folder


def add(folder: Path, projector: Path) -> Result:
    model = write_model(projector.parent / "seer.gguf", LINES.shape)
    arguments = ["models", "add", str(model), "--projector", str(projector), "--data", str(folder)]
    return CliRunner().invoke(parley, arguments)


def test_a_model_is_added_with_what_sees_for_it(folder: Path, tmp_path: Path) -> None:
    added = add(folder, write_projector(tmp_path / "mmproj.gguf", LINES.eye))
    assert added.exit_code == 0, added.stderr
    shown = CliRunner().invoke(parley, ["models", "show", "seer", "--data", str(folder)]).stdout
    capabilities = next(line for line in shown.splitlines() if line.startswith("capabilities"))
    assert "vision" in capabilities
    assert any(line.startswith("projector") and "models/" in line for line in shown.splitlines())
    assert len(list((folder / "models").glob("*.gguf"))) == 2


@pytest.mark.parametrize(
    ("eye", "why"),
    [
        (Eye(text_width=32), "does not see for"),
        (Eye(claimed_kind="hunyuanvl"), "Projectors of the kind hunyuanvl are not supported."),
        (Eye(can_see=False), "It is a projector that does not see."),
    ],
    ids=["another model's", "not supported", "blind"],
)
def test_a_projector_that_does_not_fit_adds_nothing(folder: Path, tmp_path: Path, eye: Eye, why: str) -> None:
    refused = add(folder, write_projector(tmp_path / "mmproj.gguf", eye))
    assert refused.exit_code == 1
    assert why in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert list((folder / "models").glob("*.gguf")) == []


def test_a_projector_that_makes_more_of_any_picture_than_a_step_reads_adds_nothing(
    folder: Path, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "seer.gguf", TOGETHER.shape)
    projector = write_projector(tmp_path / "mmproj.gguf", replace(TOGETHER.eye, image_size=400, merge=1))
    arguments = [
        "models",
        "add",
        str(model),
        "--projector",
        str(projector),
        "--template",
        "chatml",
        "--data",
        str(folder),
    ]
    refused = CliRunner().invoke(parley, arguments)
    assert refused.exit_code == 1
    assert "makes more of one than a step can read" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert list((folder / "models").glob("*.gguf")) == []


def test_a_model_is_no_projector(folder: Path, tmp_path: Path) -> None:
    refused = add(folder, write_model(tmp_path / "mmproj.gguf", LINES.shape))
    assert refused.exit_code == 1
    assert "It is no projector: its architecture is not clip." in refused.stderr
