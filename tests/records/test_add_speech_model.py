"""Adding models that hear: what a folder must be, what is taken of it, and the proof that it is what was added."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from parley.core.clock import FakeClock
from parley.core.ct2 import InvalidSpeechFolder, read_whisper
from parley.core.languages import LANGUAGES
from parley.core.snapshot import Capability
from parley.domain.catalog.model import CatalogError
from parley.domain.catalog.verified import VerifiedFiles
from parley.infra.folder import DataFolder
from parley.operations.add_speech_model import add_speech_model, describe_speech_model, import_speech_folder
from parley.operations.records import Records, open_records
from parley.operations.remove_model import remove_model
from tests.builders_records import settings_in
from tests.whisper_maker import Size, make_large_whisper, make_whisper


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_whisper(tmp_path_factory.mktemp("made") / "tiny")


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    return folder


def test_a_folder_is_called_as_it_is_called_and_its_shapes_say_what_it_can(made: Path) -> None:
    described = describe_speech_model(made, name=None)
    assert described.name == "tiny"
    assert described.facts.is_multilingual
    assert described.facts.can_translate
    assert described.facts.num_parameters > 51_865 * 16


def test_a_model_with_fewer_decoder_layers_does_not_translate(tmp_path: Path) -> None:
    assert not read_whisper(make_whisper(tmp_path / "turbo", num_encoder_layers=3)).can_translate
    assert read_whisper(make_whisper(tmp_path / "large", num_encoder_layers=2, num_decoder_layers=2)).can_translate
    # One that keeps most of its decoder still does.
    assert read_whisper(make_whisper(tmp_path / "closed", num_encoder_layers=4, num_decoder_layers=3)).can_translate
    assert not read_whisper(make_whisper(tmp_path / "half", num_encoder_layers=2, num_decoder_layers=1)).can_translate


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as opened:
        yield opened


async def added(records: Records, path: Path) -> str:
    """The name of its weights."""
    described = describe_speech_model(path, name=None)
    sha256 = import_speech_folder(records.folder, path, lambda _done, _size: None)
    return (await add_speech_model(records, replace(described, sha256=sha256))).weights.name


@pytest.mark.parametrize("hears_cantonese", [False, True])
async def test_only_a_vocabulary_with_cantonese_hears_it(records: Records, made: Path, hears_cantonese: bool) -> None:
    described = describe_speech_model(made, name=None)
    assert not described.facts.hears_cantonese
    sha256 = import_speech_folder(records.folder, made, lambda _done, _size: None)
    facts = replace(described.facts, hears_cantonese=hears_cantonese)
    weights = (await add_speech_model(records, replace(described, sha256=sha256, facts=facts))).weights
    assert LANGUAGES.keys() - weights.speech.languages == (set() if hears_cantonese else {"yue"})


async def test_whisper_1_is_the_best_model_whatever_order_they_were_added_in(records: Records, tmp_path: Path) -> None:
    def answering() -> str:
        return records.catalog.resolve("whisper-1").weights.name

    small = await added(records, make_large_whisper(tmp_path / "small", Size(width=8)))
    assert answering() == small
    large = await added(records, make_large_whisper(tmp_path / "large", Size(width=24)))
    assert answering() == large
    middle = await added(records, make_large_whisper(tmp_path / "middle", Size(width=16)))
    assert answering() == large
    await remove_model(records, "large", lambda _: False)
    assert answering() == middle
    for name in ("middle", "small"):
        await remove_model(records, name, lambda _: False)
    assert answering() == "pocketsphinx-en-us"


async def test_what_cannot_translate_leaves_that_to_the_best_that_can(records: Records, tmp_path: Path) -> None:
    turbo = await added(records, make_whisper(tmp_path / "turbo", num_encoder_layers=4))
    assert Capability.TRANSLATE not in records.catalog.resolve("whisper-1").capabilities
    tiny = await added(records, make_large_whisper(tmp_path / "tiny", Size(width=8)))
    whisper = records.catalog.resolve("whisper-1")
    assert (whisper.weights.name, whisper.translating_weights.name) == (turbo, tiny)
    assert whisper.capabilities == {Capability.TRANSCRIBE, Capability.TRANSLATE}
    # A name that is pinned means one model, whatever is asked of it.
    assert records.catalog.resolve("turbo").translating_weights is None
    assert records.catalog.resolve("turbo").capabilities == {Capability.TRANSCRIBE}


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_refused_by_its_name(tmp_path: Path, made: Path, missing: str) -> None:
    for file in made.iterdir():
        if file.name != missing:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(CatalogError, match=f"has no {missing}"):
        describe_speech_model(tmp_path, name="tiny")


@pytest.mark.parametrize("content", [b"", b"GGUF" + bytes(100), b"\x06\x00\x00\x00\x0c\x00WhisperSpec\x00", bytes(40)])
def test_what_is_no_whisper_is_refused_before_any_runtime_sees_it(tmp_path: Path, made: Path, content: bytes) -> None:
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(content if file.name == "model.bin" else file.read_bytes())
    with pytest.raises(InvalidSpeechFolder):
        read_whisper(tmp_path)


def test_only_what_a_model_needs_is_taken_and_it_is_known_by_its_hash(
    folder: DataFolder, made: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for file in made.iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    (source / "model.py").write_text("import os")
    progress: list[tuple[int, int]] = []
    digest = import_speech_folder(folder, source, lambda done, size: progress.append((done, size)))
    taken = folder.models_path / digest
    assert {file.name for file in taken.iterdir()} == {file.name for file in made.iterdir()}
    assert progress[-1][0] == progress[-1][1] == sum(file.stat().st_size for file in made.iterdir())
    assert import_speech_folder(folder, source, lambda _done, _size: None) == digest
    assert [each.name for each in folder.models_path.iterdir()] == [digest]
    proof = VerifiedFiles(folder.path / "verified.json")
    assert proof.sha256(taken) == digest
    (taken / "config.json").chmod(0o600)
    (taken / "config.json").write_text("{}")
    assert proof.sha256(taken) != digest
