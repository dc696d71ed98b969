"""Adding a model: checked, copied under its hash, put into the catalog with its comments kept, and the default from then on."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from parley.core.clock import FakeClock
from parley.core.snapshot import Capability
from parley.domain.catalog.model import CatalogError, WeightsFacts
from parley.infra.folder import DataFolder
from parley.operations.add_model import AddModel, add_model, describe_model, import_weights
from parley.operations.records import Records, open_records
from parley.operations.remove_model import remove_model
from parley.operations.weights_header import read_weights
from tests.builders_records import SMALL_CATALOG, settings_in, small_catalog
from tests.gguf_maker import Shape, write_model
from tests.vision_maker import write_projector

FACTS = WeightsFacts(context_length=32_768, num_parameters=1_000, chat_template="<|im_start|>")


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as opened:
        yield opened


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "my-model.gguf", Shape(context_length=2048))


def described(path: Path, facts: WeightsFacts = FACTS, **chosen: object) -> AddModel:
    wanted = {"name": None, "template": None, "context_length": None} | chosen
    return describe_model(path, lambda _: facts, **wanted)


async def added(records: Records, path: Path, **chosen: object) -> str:
    wanted = {"name": None, "template": None, "context_length": None} | chosen
    described = describe_model(path, read_weights, **wanted)
    sha256 = import_weights(records.folder, path, lambda _done, _size: None)
    return (await add_model(records, replace(described, sha256=sha256))).name


async def test_every_stand_in_is_answered_by_what_was_added_and_pinned_names_are_not(
    records: Records, model: Path
) -> None:
    pinned = records.catalog.resolve("parley-mini")
    name = await added(records, model)
    assert name == "my-model-2023-03-01"
    snapshot = records.catalog.resolve("my-model")
    assert snapshot.name == name
    assert records.catalog.resolve("gpt-4").weights == snapshot.weights
    assert records.catalog.resolve("text-davinci-003").weights == snapshot.weights
    assert records.catalog.resolve("parley-mini") == pinned
    assert snapshot.weights.context_length == 2048
    assert snapshot.weights.num_parameters > 0


async def test_what_was_added_is_there_after_a_restart_with_the_operators_comments(tmp_path: Path, model: Path) -> None:
    settings = settings_in(tmp_path / "d")
    async with open_records(settings, FakeClock()) as records:
        catalog = records.folder.catalog_path
        catalog.write_text(catalog.read_text().replace("[aliases]", "[aliases]  # mine, all mine"))
        name = await added(records, model)
    async with open_records(settings, FakeClock()) as records:
        assert records.catalog.resolve("gpt-4").weights == records.catalog.resolve(name).weights
    text = (tmp_path / "d" / "catalog.toml").read_text()
    assert "# mine, all mine" in text
    assert "# The catalog: which models can be asked for" in text


async def test_each_entry_stands_at_the_end_of_its_own_array_before_the_next_heading(
    records: Records, model: Path
) -> None:
    before = records.folder.catalog_path.read_text().splitlines()
    await added(records, model)
    write_model(model, Shape(context_length=2048, seed=2))
    await added(records, model)
    after = records.folder.catalog_path.read_text().splitlines()
    assert [line for line in after if line.startswith("#")] == [line for line in before if line.startswith("#")]
    for heading, header in (("# --- Prices -", "[[weights]]"), ("# --- Aliases -", "[[snapshots]]")):
        end = next(number for number, line in enumerate(after) if line.startswith(heading))
        *_, shipped, first, second = (number for number in range(end) if after[number] == header)
        assert all(line and not line.startswith("#") for line in after[second + 1 : end - 1])
        for start in (shipped, first, second, end):
            assert not after[start - 1]
            assert after[start - 2]


async def test_a_note_right_under_the_last_entry_stays_with_it(records: Records, model: Path) -> None:
    catalog = records.folder.catalog_path
    catalog.write_text(catalog.read_text().replace("\n\n# --- Prices", "\n# about echo\n\n# --- Prices"))
    await added(records, model)
    assert '# about echo\n\n[[weights]]\nname = "my-model-' in catalog.read_text()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gpt-4", "stands in for OpenAI's"),
        ("gpt-4-0314", "stands in for OpenAI's"),
        ("whisper-1", "stands in for OpenAI's"),
        ("parley-mini", "is taken"),
        ("my-model-2023-03-01", "is taken"),
    ],
)
async def test_a_name_that_means_something_else_is_refused(
    records: Records, model: Path, name: str, reason: str
) -> None:
    await added(records, model)
    before = records.folder.catalog_path.read_text()
    with pytest.raises(CatalogError, match=f"cannot be called {name}: that name {reason}; choose another with --name"):
        await added(records, model, name=name)
    assert records.folder.catalog_path.read_text() == before


async def test_the_file_is_kept_under_its_hash_and_cannot_be_written(records: Records, model: Path) -> None:
    await added(records, model)
    path = records.catalog.default_weights.path
    assert path.name == hashlib.sha256(model.read_bytes()).hexdigest() + ".gguf"
    assert path.stat().st_mode & 0o222 == 0
    # A copy: what happens to the file that was added does not reach the one that is served.
    model.write_bytes(b"")
    records.catalog_files.verify(records.catalog.default_weights)


async def test_adding_again_changes_nothing(records: Records, model: Path) -> None:
    await added(records, model)
    before = records.folder.catalog_path.read_text()
    records.clock.advance(86_400)
    assert await added(records, model) == "my-model-2023-03-01"
    assert records.folder.catalog_path.read_text() == before


async def test_adding_again_with_another_context_is_refused(records: Records, model: Path) -> None:
    await added(records, model)
    with pytest.raises(CatalogError, match="added before with context 2048"):
        await added(records, model, context_length=1024)


async def test_other_weights_of_the_same_name_are_another_snapshot(records: Records, model: Path) -> None:
    first = await added(records, model)
    weights = records.catalog.resolve(first).weights
    write_model(model, Shape(context_length=2048, seed=2))
    second = await added(records, model)
    assert second == "my-model-2023-03-01-2"
    assert records.catalog.resolve("my-model").name == second
    assert records.catalog.resolve(first).weights == weights


async def test_a_file_that_is_no_model_is_refused_before_it_is_copied(records: Records, tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("these are notes and no model at all")
    with pytest.raises(CatalogError, match="not a GGUF file"):
        await added(records, path)
    with pytest.raises(CatalogError, match="cannot be read"):
        await added(records, tmp_path / "missing.gguf")
    assert list(records.folder.models_path.iterdir()) == []


async def test_weights_that_are_not_what_was_hashed_are_refused_and_the_catalog_stays(
    records: Records, model: Path
) -> None:
    before = records.folder.catalog_path.read_text()
    sha256 = import_weights(records.folder, model, lambda _done, _size: None)
    stored = records.folder.models_path / f"{sha256}.gguf"
    stored.chmod(0o600)
    stored.write_bytes(b"tampered with")
    with pytest.raises(CatalogError, match="is not the file that was added"):
        await add_model(records, replace(described(model), sha256=sha256))
    assert records.folder.catalog_path.read_text() == before
    assert records.catalog.default_weights.name == "parley-mini"


def test_a_copy_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "d")
    folder.prepare()

    def fail(_done: int, _size: int) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(CatalogError, match="Input/output error"):
        import_weights(folder, write_model(tmp_path / "a.gguf"), fail)
    assert list(folder.models_path.iterdir()) == []


def test_a_model_is_named_after_its_file_and_served_with_a_usual_window(tmp_path: Path) -> None:
    found = described(tmp_path / "Llama-3.2-1B-Q8_0.gguf")
    assert (found.name, found.template, found.context_length) == ("Llama-3.2-1B-Q8_0", "chatml", 8192)
    assert described(tmp_path / "a.gguf", context_length=32_768).context_length == 32_768


@pytest.mark.parametrize(
    ("path", "facts", "chosen", "reason"),
    [
        ("a.gguf", FACTS, {"name": "../../etc"}, "--name"),
        ("my model.gguf", FACTS, {}, "--name"),
        ("a.gguf", replace(FACTS, chat_template="### Say:"), {}, "--template"),
        ("a.gguf", FACTS, {"context_length": 40_000}, "made for 32768 tokens"),
    ],
)
def test_what_cannot_be_added_is_refused_with_the_option_that_helps(
    tmp_path: Path, path: str, facts: WeightsFacts, chosen: dict[str, object], reason: str
) -> None:
    with pytest.raises(CatalogError, match=reason):
        described(tmp_path / path, facts, **chosen)


@pytest.fixture
def projector(tmp_path: Path) -> Path:
    return write_projector(tmp_path / "mmproj.gguf")


async def added_with_sight(records: Records, model: Path, projector: Path) -> str:
    described = describe_model(model, read_weights, name=None, template=None, context_length=None)
    hashes = [import_weights(records.folder, path, lambda _done, _size: None) for path in (model, projector)]
    return (await add_model(records, replace(described, sha256=hashes[0], projector_sha256=hashes[1]))).name


async def test_a_model_with_a_projector_sees_and_one_without_does_not(
    records: Records, model: Path, projector: Path
) -> None:
    snapshot = records.catalog.resolve(await added_with_sight(records, model, projector))
    assert Capability.VISION in snapshot.capabilities
    assert snapshot.weights is not None
    assert snapshot.weights.projector == records.folder.models_path / f"{sha256_of(projector)}.gguf"
    assert snapshot.weights.projector_sha256 == sha256_of(projector)
    # So do the names that stand in.
    assert Capability.VISION in records.catalog.resolve("gpt-4").capabilities
    assert Capability.VISION not in records.catalog.resolve("parley-mini").capabilities


async def test_a_projector_that_was_changed_is_not_loaded(records: Records, model: Path, projector: Path) -> None:
    weights = records.catalog.resolve(await added_with_sight(records, model, projector)).weights
    assert weights is not None
    records.catalog_files.verify(weights)
    assert weights.projector is not None
    weights.projector.chmod(0o600)
    content = bytearray(weights.projector.read_bytes())
    content[-1] ^= 1
    weights.projector.write_bytes(content)
    with pytest.raises(CatalogError, match="is not the file that was added"):
        records.catalog_files.verify(weights)


async def test_a_removed_model_takes_its_projector_along_unless_another_has_it(
    records: Records, model: Path, projector: Path, tmp_path: Path
) -> None:
    await added_with_sight(records, model, projector)
    other = write_model(tmp_path / "other.gguf", Shape(context_length=2048, seed=5))
    await added_with_sight(records, other, projector)
    kept = records.folder.models_path / f"{sha256_of(projector)}.gguf"
    await remove_model(records, "other", lambda _: False)
    assert kept.exists()
    await remove_model(records, "my-model", lambda _: False)
    assert not kept.exists()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"projector": "models/a.gguf"}, "need each other"),
        ({"projector": "../a.gguf", "projector_sha256": "0" * 64}, "must be bundled/NAME or models/NAME"),
        ({"projector": "models/a.gguf", "projector_sha256": "0" * 64, "engine": "echo", "file": None}, "only the engine llama"),
    ],
)  # fmt: skip
def test_wrong_entries_of_a_projector_are_named(tmp_path: Path, changes: dict[str, str | None], why: str) -> None:
    entry = {"name": "w", "engine": "llama", "file": "models/w.gguf", "sha256": "0" * 64, "context": 128,
             "template": "plain"} | changes  # fmt: skip
    lines = [f"{key} = {value if isinstance(value, int) else repr(value)}" for key, value in entry.items() if value]
    text = SMALL_CATALOG + "\n[[weights]]\n" + "\n".join(lines).replace("'", '"') + "\n"
    with pytest.raises(CatalogError, match=why):
        small_catalog(tmp_path, text=text).files.read()


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
