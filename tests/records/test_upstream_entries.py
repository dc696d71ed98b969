"""Upstreams in the catalog: what an entry may say, what is refused with its reason, and that no key is ever shown."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parley.core.clock import FakeClock
from parley.core.errors import ModelNotFound
from parley.core.snapshot import Capability
from parley.core.upstream import UpstreamKind
from parley.domain.catalog.entries import UpstreamEntry
from parley.domain.catalog.model import CatalogError
from parley.domain.catalog.service import CatalogFiles
from parley.operations.add_upstream import AddUpstream, add_upstream
from parley.operations.records import Records, open_records
from parley.operations.remove_model import remove_model
from tests.builders_records import SMALL_CATALOG, SmallCatalog, settings_in, small_catalog

ENTRY = """
[[weights]]
name = "far"
engine = "upstream"
context = 16384
MORE
upstream = { kind = "vllm", url = "https://gpu.example.org/v1/", model = "org/model", key_env = "GPU_KEY" }
"""
SECRET = "sk-canary-0123456789"


def catalog_with(folder: Path, entry: str) -> SmallCatalog:
    catalog = small_catalog(folder, text=SMALL_CATALOG.replace("[[snapshots]]", entry + "\n[[snapshots]]", 1))
    catalog.files.install()
    return catalog


def entry(more: str = "", **changes: str) -> str:
    text = ENTRY.replace("MORE", more)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def reading(files: CatalogFiles) -> str:
    with pytest.raises(CatalogError) as refused:
        files.read()
    return str(refused.value)


def test_an_upstream_is_read_with_its_address_rebuilt(tmp_path: Path) -> None:
    weights = catalog_with(tmp_path, entry()).files.read().weights["far"]
    assert weights.upstream is not None
    assert weights.upstream.kind is UpstreamKind.VLLM
    assert weights.upstream.url == "https://gpu.example.org/v1"
    assert weights.upstream.key_env == "GPU_KEY"
    assert weights.path is None
    assert not weights.is_tokenized_here


PINNED = """
[[snapshots]]
name = "NAME"
family = "far"
weights = "far"
context = 4096
capabilities = CAN
price = "free"
created = 2026-01-01
"""


@pytest.mark.parametrize(
    ("names", "can_chat"),
    [
        ((), True),
        (('["complete"]',), False),
        (('["complete", "edit"]',), True),
        (('["complete"]', '["chat"]'), True),
        (('["complete"]', '["complete"]'), False),
    ],
)
def test_an_upstream_can_chat_unless_all_its_names_only_complete(
    tmp_path: Path, names: tuple[str, ...], can_chat: bool
) -> None:
    pinned = [PINNED.replace("NAME", f"far-{number}").replace("CAN", can) for number, can in enumerate(names)]
    weights = catalog_with(tmp_path, entry() + "".join(pinned)).files.read().weights["far"]
    assert weights.upstream is not None
    assert weights.upstream.can_chat is can_chat


def test_with_its_vocabulary_prompts_are_tokenised_here(tmp_path: Path) -> None:
    more = f'file = "bundled/small.gguf"\nsha256 = "{"0" * 64}"\ntemplate = "chatml"'
    catalog = catalog_with(tmp_path, entry(more))
    weights = catalog.files.read().weights["far"]
    assert weights.is_tokenized_here
    # Pinned by its hash as weights are, and not by the package that has it.
    with pytest.raises(CatalogError, match="is not the file that was added"):
        catalog.files.verify(weights)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"https://user:{SECRET}@gpu.example.org/v1", "key_file"),
        (f"https://gpu.example.org/v1?key={SECRET}", "key_file"),
        (f"https://gpu.example.org/v1#{SECRET}", "key_file"),
        ("file:///etc/passwd", "http://"),
        ("gpu.example.org/v1", "http://"),
        ("http:///v1", "name a host"),
        ("http://[::1/v1", "no address"),
        ("http://host:eighty/v1", "no address"),
        ("http://ex ample.org/v1", "characters"),
    ],
)
def test_an_address_is_an_address_and_no_more(tmp_path: Path, url: str, reason: str) -> None:
    said = reading(catalog_with(tmp_path, entry().replace("https://gpu.example.org/v1/", url)).files)
    assert reason in said
    assert "'far'" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (entry('template = "chatml"'), "only then"),
        (entry(f'file = "bundled/small.gguf"\nsha256 = "{"0" * 64}"'), "template is needed"),
        (entry('file = "bundled/small.gguf"\ntemplate = "chatml"'), "sha256"),
        (entry(f'file = "bundled/small.gguf"\nsha256 = "{"0" * 64}"\ntemplate = "no"'), "there is no template"),
        (entry().replace('model = "org/model"', 'model = ""'), "upstream.model"),
        (entry().replace('"vllm"', '"vlm"'), "'far'"),
        (entry().replace('key_env = "GPU_KEY"', 'key_file = "relative"'), "whole path"),
        (entry().replace('key_env = "GPU_KEY"', 'key_env = "A", key_file = "/b"'), "exclude each other"),
        (entry().replace('key_env = "GPU_KEY"', f'key = "{SECRET}"'), "unknown field `key`"),
        (entry().replace('engine = "upstream"', 'engine = "llama"\ntemplate = "chatml"'), "need each other"),
        ('[[weights]]\nname = "far"\nengine = "upstream"\ncontext = 1\n', "need each other"),
    ],
)
def test_an_entry_that_cannot_be_served_is_refused_with_its_name(tmp_path: Path, text: str, reason: str) -> None:
    said = reading(catalog_with(tmp_path, text).files)
    assert reason in said
    assert SECRET not in said


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as opened:
        yield opened


def addition(kind: UpstreamKind = UpstreamKind.VLLM, **changes: object) -> AddUpstream:
    upstream = UpstreamEntry(kind=kind, url="http://127.0.0.1:8001/v1", model="org/model", command=["vllm", "serve x"])
    fields = {"name": "big", "upstream": upstream, "context_length": 16_384} | changes
    return AddUpstream(**fields)  # type: ignore[arg-type]


async def test_an_upstream_is_added_under_its_name_and_moves_no_default(records: Records) -> None:
    before = records.catalog.default_weights
    snapshot = await add_upstream(records, addition())
    assert snapshot.name == "big-2023-03-01"
    assert records.catalog.resolve("big") == snapshot
    assert snapshot.weights is not None
    assert snapshot.weights.upstream is not None
    assert snapshot.weights.upstream.command == ("vllm", "serve x")
    assert snapshot.context_length == 16_384
    assert records.catalog.default_weights == before
    assert records.catalog.resolve("gpt-4").weights == before


async def test_an_upstream_answers_every_stand_in_only_when_that_is_asked_for(records: Records) -> None:
    snapshot = await add_upstream(records, addition(is_default=True))
    assert records.catalog.resolve("gpt-4").weights == snapshot.weights


async def test_models_that_come_and_go_at_the_same_time_lose_each_other_nothing(records: Records) -> None:
    await add_upstream(records, addition(name="gone"))
    names = [f"far-{number}" for number in range(8)]
    async with asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(add_upstream(records, addition(name=name)))
        tasks.create_task(remove_model(records, "gone", lambda _: False))
    reread = records.catalog_files.read()
    assert {f"{name}-upstream" for name in names} <= reread.weights.keys()
    assert "gone-upstream" not in reread.weights
    assert all(records.catalog.resolve(name) for name in names)


async def test_what_was_added_is_there_after_a_restart(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "d")
    async with open_records(settings, FakeClock()) as first:
        added = await add_upstream(first, addition())
    async with open_records(settings, FakeClock()) as second:
        assert second.catalog.resolve("big") == added


async def test_a_hosted_api_can_chat_and_a_server_can_complete_too(records: Records) -> None:
    hosted = await add_upstream(records, addition(UpstreamKind.OPENAI, name="hosted"))
    own = await add_upstream(records, addition(name="own"))
    assert Capability.COMPLETE not in hosted.capabilities
    assert Capability.COMPLETE in own.capabilities


@pytest.mark.parametrize("name", ["gpt-4", "parley-mini", "../x", ""])
async def test_a_name_that_is_taken_or_none_is_refused_and_the_catalog_stays(records: Records, name: str) -> None:
    before = records.folder.catalog_path.read_text()
    with pytest.raises(CatalogError, match="--name"):
        await add_upstream(records, addition(name=name))
    assert records.folder.catalog_path.read_text() == before


async def test_an_upstream_is_removed_with_its_names_and_a_vocabulary_that_ships_stays(records: Records) -> None:
    await add_upstream(records, addition(name="plain"))
    shipped = records.catalog.resolve("parley-mini").weights
    assert shipped is not None
    assert shipped.path is not None
    text = records.folder.catalog_path.read_text()
    far = entry(f'file = "bundled/parley-mini.gguf"\nsha256 = "{shipped.sha256}"\ntemplate = "chatml"')
    records.folder.catalog_path.write_text(text.replace("[[weights]]", far + "\n[[weights]]", 1))
    records.catalog.replace(records.catalog_files.read())
    for name in ("far", "plain"):
        await remove_model(records, name, lambda _: False)
    assert shipped.path.exists()
    assert not {"far", "plain-upstream"} & set(records.catalog.weights)
    with pytest.raises(ModelNotFound):
        records.catalog.resolve("plain")


async def test_a_removed_default_is_never_followed_by_an_upstream(records: Records) -> None:
    await add_upstream(records, addition(name="first", is_default=True))
    await add_upstream(records, addition(name="second"))
    removed = await remove_model(records, "first", lambda _: False)
    assert removed.default == "parley-mini"
