"""Files of one repository brought in together: a model of one file, or the folder of a speech model."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from parley.core.clock import FakeClock
from parley.infra.fetch import Fetcher, FetchFailed
from parley.infra.folder import DataFolder
from parley.jobs.pull.file_set import Bringing, FileSet, brought
from parley.jobs.pull.hub import Hub
from parley.jobs.pull.reference import HubReference
from parley.jobs.pull.repository import PullFailed
from tests.builders_pull import FakeHub, Fault, fake_hub, fetcher_for, patience

GGUF = b"GGUF" + bytes(8000)
# A speech model as CTranslate2 keeps it.
SPEECH = {
    "model.bin": b"\x06\0\0\0" + bytes(3000),
    "config.json": b'{"alignment_heads": []}',
    "tokenizer/tokenizer.json": b"{}" + b" " * 2000,
    "vocabulary.txt": b"a\nb\n",
}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub({"o/r": {"m.gguf": GGUF}, "o/speech": dict(SPEECH)}) as hub:
        yield hub


@pytest.fixture
async def fetcher(hub: FakeHub) -> AsyncIterator[Fetcher]:
    async with fetcher_for(hub) as fetcher:
        yield fetcher


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "d")
    folder.prepare()
    return folder


async def files_of(hub: FakeHub, fetcher: Fetcher, repository: str) -> FileSet:
    asked = Hub(fetcher, endpoint=hub.url, patience=patience())
    return FileSet(label=repository, files=(await asked.repository(HubReference(repository=repository))).files)


def bringing(fetcher: Fetcher, folder: DataFolder, *, free_bytes: int = 1 << 40) -> Bringing:
    return Bringing(fetcher=fetcher, folder=folder, patience=patience(), free_bytes=lambda _: free_bytes)


def visible(folder: DataFolder) -> list[str]:
    """What of the models' folder anything else of Parley could see."""
    return [path.name for path in folder.models_path.iterdir() if not path.name.startswith(".")]


async def test_a_folder_of_several_files_arrives_whole(hub: FakeHub, fetcher: Fetcher, folder: DataFolder) -> None:
    files, seen = await files_of(hub, fetcher, "o/speech"), []
    async with brought(files, bringing(fetcher, folder), seen.append) as staging:
        here = {str(path.relative_to(staging)): path.read_bytes() for path in staging.rglob("*") if path.is_file()}
        assert here == SPEECH
        staging.rename(folder.models_path / "speech-model")
    assert visible(folder) == ["speech-model"]
    assert seen == sorted(seen)
    assert seen[-1] == files.size == sum(map(len, SPEECH.values()))
    # Of the pull itself nothing stays but its lock.
    assert [path.name for path in (folder.models_path / ".pull").iterdir()] == ["lock"]


async def test_a_set_that_broke_goes_on_with_the_file_that_it_was_at(
    hub: FakeHub, fetcher: Fetcher, folder: DataFolder
) -> None:
    files = await files_of(hub, fetcher, "o/speech")
    hub.faults = [Fault(), *[Fault(status=503)] * 5]
    with pytest.raises(FetchFailed):
        async with brought(files, bringing(fetcher, folder), lambda _: None):
            pytest.fail("nothing is handed over before everything is here")
    assert visible(folder) == []
    hub.requests.clear()
    async with brought(files, bringing(fetcher, folder), lambda _: None):
        pass
    assert len(hub.bodies_asked_for()) == 1


@pytest.mark.parametrize("settings", [{"auto_map": {"AutoModel": "x.Y"}}, {"trust_remote_code": True}])
async def test_j4_a_set_that_brings_code_of_its_own_is_refused(
    hub: FakeHub, fetcher: Fetcher, folder: DataFolder, settings: dict[str, object]
) -> None:
    hub.repositories["o/speech"].files["config.json"] = json.dumps(settings).encode()
    with pytest.raises(PullFailed, match="code of the model's own"):
        async with brought(await files_of(hub, fetcher, "o/speech"), bringing(fetcher, folder), lambda _: None):
            pytest.fail("refused")
    assert list(folder.models_path.rglob("config.json*")) == []


async def test_j5_a_pickle_under_a_gguf_s_name_is_refused_and_removed(
    hub: FakeHub, fetcher: Fetcher, folder: DataFolder
) -> None:
    hub.repositories["o/r"].files["m.gguf"] = b"\x80\x04" + bytes(2000)
    with pytest.raises(PullFailed, match="pickle"):
        async with brought(await files_of(hub, fetcher, "o/r"), bringing(fetcher, folder), lambda _: None):
            pytest.fail("refused")
    assert list(folder.models_path.rglob("m.gguf*")) == []


async def test_j9_a_flipped_byte_of_a_small_file_is_found_too(
    hub: FakeHub, fetcher: Fetcher, folder: DataFolder
) -> None:
    files = await files_of(hub, fetcher, "o/speech")
    hub.repositories["o/speech"].files["vocabulary.txt"] = b"a\nc\n"
    with pytest.raises(PullFailed, match=r"vocabulary.txt is not what was promised: its git-blob differs"):
        async with brought(files, bringing(fetcher, folder), lambda _: None):
            pytest.fail("refused")
    assert visible(folder) == []


async def test_a_disk_without_room_is_refused_before_anything_is_asked_for(
    hub: FakeHub, fetcher: Fetcher, folder: DataFolder
) -> None:
    files = await files_of(hub, fetcher, "o/r")
    with pytest.raises(PullFailed, match=r"o/r needs 0.07 GB more on the disk of .*, where 0.00 GB are free"):
        async with brought(files, bringing(fetcher, folder, free_bytes=1000), lambda _: None):
            pytest.fail("refused")
    assert hub.bodies_asked_for() == []


async def test_two_pulls_at_once_are_one_pull(hub: FakeHub, fetcher: Fetcher, folder: DataFolder) -> None:
    files = await files_of(hub, fetcher, "o/r")
    hub.faults = [Fault(cut_after=5000, is_stalling=True)]

    has_begun = asyncio.Event()

    async def first() -> None:
        async with brought(files, bringing(fetcher, folder), lambda _: has_begun.set()):
            pytest.fail("it stalls")

    running = asyncio.ensure_future(first())
    await asyncio.wait_for(has_begun.wait(), 30)
    with pytest.raises(PullFailed, match=r"another pull into .* is running"):
        async with brought(files, bringing(fetcher, folder), lambda _: None):
            pytest.fail("refused")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    # The first one was ended in the middle: the next goes on from there.
    hub.requests.clear()
    async with brought(files, bringing(fetcher, folder), lambda _: None) as staging:
        assert (staging / "m.gguf").read_bytes() == GGUF
    (asked,) = hub.bodies_asked_for()
    assert asked is not None
    assert 0 < int(asked.removeprefix("bytes=").removesuffix("-")) <= 5000


async def test_what_was_given_up_long_ago_is_removed_and_what_is_recent_is_not(
    hub: FakeHub, fetcher: Fetcher, folder: DataFolder
) -> None:
    clock = FakeClock()
    pulls = folder.models_path / ".pull"
    for name, days in (("old", 15), ("recent", 13)):
        (pulls / name).mkdir(parents=True)
        os.utime(pulls / name, (clock.now(), clock.now() - days * 86_400))
    patient = Bringing(fetcher=fetcher, folder=folder, patience=patience(clock=clock))
    async with brought(await files_of(hub, fetcher, "o/r"), patient, lambda _: None):
        pass
    assert sorted(path.name for path in pulls.iterdir()) == ["lock", "recent"]


async def test_a_disk_that_refuses_is_one_line_and_what_came_stays(
    hub: FakeHub, fetcher: Fetcher, folder: DataFolder
) -> None:
    files = await files_of(hub, fetcher, "o/r")
    staging = folder.models_path / ".pull" / files.key[:32]
    (staging / "m.gguf.part").mkdir(parents=True)
    with pytest.raises(PullFailed, match=r"^o/r cannot be kept in .*; what has come so far is kept$"):
        async with brought(files, bringing(fetcher, folder), lambda _: None):
            pytest.fail("refused")
