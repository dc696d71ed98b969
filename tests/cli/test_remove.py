"""`parley models remove` and what the list says of sizes."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parley.api.platform.control import ControlServer
from parley.cli.commands import parley
from parley.core.clock import SystemClock
from parley.core.errors import ModelNotFound
from parley.operations.first_start import ensure_owner
from parley.operations.records import open_records
from tests.builders_records import settings_in
from tests.gguf_maker import Shape, write_model


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(parley, [*arguments, "--data", str(folder)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An installation with two models of the operator's, the first added as `one`, then `two`."""
    folder = tmp_path / "d"

    async def start() -> None:
        async with open_records(settings_in(folder), SystemClock()) as records:
            await ensure_owner(records, None)

    asyncio.run(start())
    for seed, name in enumerate(("one", "two")):
        model = write_model(tmp_path / f"{name}.gguf", Shape(context_length=2048, seed=seed))
        assert run(folder, "models", "add", str(model), "--name", name).exit_code == 0
    return folder


def files(folder: Path) -> set[Path]:
    return set((folder / "models").glob("*.gguf"))


def default_of(folder: Path) -> str:
    shown = run(folder, "models", "show", "gpt-4").stdout
    return next(line.split()[2] for line in shown.splitlines() if line.startswith("answered by"))


def test_the_list_says_how_large_what_answers_is(folder: Path) -> None:
    lines = run(folder, "models", "list").stdout.splitlines()
    two = next(line for line in lines if line.startswith("two "))
    size = max(files(folder), key=lambda path: path.stat().st_mtime).stat().st_size
    assert f"{size / 1e6:,.1f} MB" in two
    assert "two-2" in two.split()[1]


def test_a_file_that_is_gone_is_said_to_be_missing(folder: Path) -> None:
    for file in files(folder):
        file.unlink()
    assert "missing" in run(folder, "models", "list").stdout


@pytest.mark.parametrize(("gone", "stays"), [("one", "two"), ("two", "one")])
def test_a_removed_model_leaves_no_name_and_no_file(folder: Path, gone: str, stays: str) -> None:
    before = files(folder)
    comments = [line for line in (folder / "catalog.toml").read_text().splitlines() if line.startswith("#")]
    done = run(folder, "models", "remove", gone)
    assert done.exit_code == 0, done.stderr
    assert len(before - files(folder)) == 1
    assert gone not in [line.split()[0] for line in run(folder, "models", "list").stdout.splitlines()]
    assert default_of(folder).startswith(f"{stays}-")
    text = (folder / "catalog.toml").read_text()
    assert f"{gone}-" not in text
    # Headings of other sections, written after what was removed, and the operator's comments stay.
    assert [line for line in text.splitlines() if line.startswith("#")] == comments


def test_what_was_added_before_serves_when_the_default_is_removed_and_at_last_what_ships(folder: Path) -> None:
    done = run(folder, "models", "remove", "two")
    assert "Every stand-in name is answered by one-" in done.stdout
    assert default_of(folder).startswith("one-")
    run(folder, "models", "remove", "one")
    assert default_of(folder) == "parley-mini"
    assert files(folder) == set()


def test_a_removed_model_can_be_added_again(folder: Path, tmp_path: Path) -> None:
    run(folder, "models", "remove", "two")
    assert run(folder, "models", "add", str(tmp_path / "two.gguf"), "--name", "two").exit_code == 0
    assert default_of(folder).startswith("two-")


def test_a_file_that_another_name_needs_stays(folder: Path, tmp_path: Path) -> None:
    run(folder, "models", "add", str(tmp_path / "two.gguf"), "--name", "also-two")
    before = files(folder)
    assert run(folder, "models", "remove", "two").exit_code == 0
    assert files(folder) == before
    assert run(folder, "models", "remove", "also-two").exit_code == 0
    assert len(files(folder)) == len(before) - 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "there is no model called nobody"),
        ("gpt-4", "gpt-4 only stands in for OpenAI's"),
        ("parley-mini", "parley-mini comes with the package"),
        ("echo", "echo comes with the package"),
        ("../one", "there is no model called ../one"),
    ],
)
def test_what_cannot_be_removed_is_one_line(folder: Path, name: str, said: str) -> None:
    before = files(folder)
    done = run(folder, "models", "remove", name)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert said in done.stderr
    assert files(folder) == before


async def test_a_running_server_keeps_what_it_has_in_memory(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    model = write_model(tmp_path / "one.gguf", Shape(context_length=2048))
    async with open_records(settings_in(folder), SystemClock()) as records:
        await ensure_owner(records, None)
        in_memory = set[str]()
        async with ControlServer(records, url="http://h", in_use=lambda weights: weights.name in in_memory):
            await asyncio.to_thread(run, folder, "models", "add", str(model), "--name", "one")
            weights = records.catalog.resolve("one").weights
            in_memory.add(weights.name)
            done = await asyncio.to_thread(run, folder, "models", "remove", "one")
            assert done.exit_code == 1
            assert "is in the running server's memory" in done.stderr
            assert weights.path.exists()
            assert records.catalog.resolve("one").weights == weights
            in_memory.clear()
            done = await asyncio.to_thread(run, folder, "models", "remove", "one")
            assert done.exit_code == 0, done.stderr
            with pytest.raises(ModelNotFound):
                records.catalog.resolve("one")
            assert not weights.path.exists()
