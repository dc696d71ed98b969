"""`parley pull` and `parley models add` of models that hear, against a hub on loopback."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parley.cli.commands import parley
from parley.cli.pulling import recommended_models
from parley.core.clock import SystemClock
from parley.operations.first_start import ensure_owner
from parley.operations.records import open_records
from tests.builders_pull import COMMIT, FakeHub, fake_hub
from tests.builders_records import settings_in
from tests.whisper_maker import Size, make_large_whisper, make_transformers_whisper, make_whisper

ANSWERED = "answered by     {}-"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {
        "ct2": make_whisper(folder / "faster-whisper-made"),
        "transformers": make_transformers_whisper(folder / "whisper-made"),
    }


@pytest.fixture
def hub(checkpoints: dict[str, Path]) -> Iterator[FakeHub]:
    ct2 = contents(checkpoints["ct2"]) | {"README.md": b"# made\n", "model.py": b"import os\n"}
    repositories = {
        "Systran/faster-whisper-tiny": ct2,
        "o/whisper-made": contents(checkpoints["transformers"]) | {"pytorch_model.bin": b"PK\x03\x04"},
        "o/broken": ct2 | {"model.bin": b"\x06\x00\x00\x00\x0c\x00NoWhisper\x00\x00\x00"},
    }
    with fake_hub(repositories) as hub:
        yield hub


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    folder = tmp_path / "d"

    async def start() -> None:
        async with open_records(settings_in(folder), SystemClock()) as records:
            await ensure_owner(records, None)

    asyncio.run(start())
    return folder


def run(hub: FakeHub, folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(parley, arguments, env={"PARLEY_HUB_ENDPOINT": hub.url, "PARLEY_DATA": str(folder)})


def test_a_short_name_brings_a_model_that_whisper_1_is_answered_by(
    hub: FakeHub, installation: Path, checkpoints: dict[str, Path]
) -> None:
    done = run(hub, installation, "pull", "whisper-tiny")
    assert done.exit_code == 0, done.stderr
    assert f"hf://Systran/faster-whisper-tiny@{COMMIT}: " in done.stderr
    assert "hears all of Whisper's languages, and translates" in done.stderr
    [kept] = [each for each in (installation / "models").iterdir() if not each.name.startswith(".")]
    assert contents(kept) == contents(checkpoints["ct2"])
    shown = run(hub, installation, "models", "show", "whisper-1").stdout
    assert ANSWERED.format("whisper-tiny") in shown
    assert f"source          hf://Systran/faster-whisper-tiny@{COMMIT}" in shown
    assert "licence         apache-2.0" in shown
    assert list((installation / "models" / ".pull").iterdir()) == [installation / "models" / ".pull" / "lock"]


def test_a_smaller_model_leaves_whisper_1_to_the_larger_one_and_says_so(
    hub: FakeHub, installation: Path, tmp_path: Path
) -> None:
    larger = make_large_whisper(tmp_path / "larger", Size(width=24))
    assert run(hub, installation, "models", "add", str(larger)).exit_code == 0
    done = run(hub, installation, "pull", "whisper-tiny")
    assert "whisper-1 still by larger-" in done.stderr
    assert ANSWERED.format("larger") in run(hub, installation, "models", "show", "whisper-1").stdout


def test_it_is_shown_what_translates_where_the_best_model_cannot(
    hub: FakeHub, installation: Path, tmp_path: Path
) -> None:
    turbo = make_whisper(tmp_path / "turbo", num_encoder_layers=4)
    for arguments in (["pull", "whisper-tiny"], ["models", "add", str(turbo)]):
        assert run(hub, installation, *arguments).exit_code == 0
    shown = run(hub, installation, "models", "show", "whisper-1").stdout
    assert ANSWERED.format("turbo") in shown
    assert "translated by   whisper-tiny-" in shown


def test_a_repository_in_transformers_form_is_converted_and_no_pickle_of_it_is_fetched(
    hub: FakeHub, installation: Path
) -> None:
    done = run(hub, installation, "pull", "o/whisper-made")
    assert done.exit_code == 0, done.stderr
    assert ANSWERED.format("whisper-made") in run(hub, installation, "models", "show", "whisper-1").stdout
    assert not [path for _, path, _ in hub.requests if "pytorch_model" in path]
    [kept] = [each for each in (installation / "models").iterdir() if not each.name.startswith(".")]
    assert "model.bin" in contents(kept)


def test_a_folder_in_transformers_form_is_added(hub: FakeHub, installation: Path, checkpoints: dict[str, Path]) -> None:
    done = run(hub, installation, "models", "add", str(checkpoints["transformers"]), "--name", "mine")
    assert done.exit_code == 0, done.stderr
    assert ANSWERED.format("mine") in run(hub, installation, "models", "show", "whisper-1").stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["pull", "o/broken"], "is no Whisper model"),
        (["pull", "whisper-tiny", "--template", "chatml"], "neither --template nor --context"),
        (["pull", "whisper-tiny", "--sha256", "0" * 64], "--sha256 is for URLs"),
    ],
)
def test_what_cannot_be_pulled_says_why_and_leaves_no_model(
    hub: FakeHub, installation: Path, arguments: list[str], reason: str
) -> None:
    done = run(hub, installation, *arguments)
    assert (done.exit_code, reason in done.stderr) == (1, True), done.stderr
    assert "pocketsphinx" in run(hub, installation, "models", "show", "whisper-1").stdout


def test_weights_in_a_pickle_are_refused_by_name(hub: FakeHub, installation: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    done = run(hub, installation, "models", "add", str(tmp_path / "old"))
    assert (done.exit_code, "can hold code" in done.stderr) == (1, True)


def test_the_short_list_has_every_size_of_whisper() -> None:
    sizes = "tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en", "large-v1", "large-v2"
    wanted = {f"whisper-{size}" for size in (*sizes, "large-v3", "turbo")} | {"distil-large-v3", "distil-small.en"}
    assert wanted <= recommended_models().keys()
