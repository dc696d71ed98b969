"""A llama.cpp from another folder than the wheel's: the one that runs is the one that was named, for text and for pictures."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from parley.core.errors import ModelLoadFailed
from parley.core.llama_library import BUILT_LIBRARY, DESCRIPTION, SUPPORTED_VERSION, library_path, processor_features
from parley.serving.engines.llama import LlamaEngine, LlamaOptions
from parley.serving.engines.vision import WorkerVision
from tests.builders_engines import CHAINED, byte_ids, round_of, run_round
from tests.builders_vision import TOGETHER, picture, write_sighted
from tests.gguf_maker import write_model


def build(folder: Path) -> Path:
    """As `make native` leaves it, with the wheel's library in place of one built here."""
    folder.mkdir()
    shutil.copyfile(library_path(), folder / BUILT_LIBRARY)
    described = {"version": SUPPORTED_VERSION, "features": processor_features()}
    (folder / DESCRIPTION).write_text(json.dumps(described))
    return folder


def options_in(folder: Path, build: Path) -> LlamaOptions:
    return LlamaOptions(
        model=write_model(folder / "model.gguf", CHAINED), context_length=256, num_slots=2, num_threads=1, build=build
    )


def mapped_by(pid: int | None) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


async def test_a_model_runs_on_the_build_that_was_named_and_not_on_the_wheels(tmp_path: Path) -> None:
    engine = LlamaEngine(options_in(tmp_path, build(tmp_path / "build")))
    try:
        await engine.start()
        answer = await run_round(engine, round_of(byte_ids("Once upon a time"), max_tokens=4, temperature=0.0))
        mapped = mapped_by(engine.pid)
    finally:
        await engine.aclose()
    assert answer.num_tokens == [4]
    assert str(tmp_path / "build" / BUILT_LIBRARY) in mapped
    assert str(library_path()) not in mapped


async def test_what_sees_runs_on_it_too(tmp_path: Path) -> None:
    vision = WorkerVision(replace(write_sighted(tmp_path, TOGETHER), build=build(tmp_path / "build")))
    try:
        rows = await vision.look(picture(6, 32, 32), salt="")
        mapped = mapped_by(vision.pid)
    finally:
        await vision.aclose()
    assert rows
    assert str(tmp_path / "build" / BUILT_LIBRARY) in mapped


async def test_a_library_that_is_none_gives_the_reason_and_leaves_nothing_running(tmp_path: Path) -> None:
    broken = build(tmp_path / "build")
    (broken / BUILT_LIBRARY).write_bytes(b"cut off")
    engine = LlamaEngine(options_in(tmp_path, broken))
    with pytest.raises(ModelLoadFailed) as refused:
        await engine.start()
    assert "cannot be loaded" in refused.value.detail
    assert engine.pid is None
    await engine.aclose()
