"""One file from the hub, with everything that can go wrong on its way."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from parley.core.clock import FakeClock
from parley.infra.fetch import Fetcher, FetchFailed
from parley.jobs.pull.patience import Patience
from parley.jobs.pull.repository import PullFailed, RemoteFile
from parley.jobs.pull.transfer import transfer
from tests.builders_pull import FakeHub, Fault, Pauses, fake_hub, fetcher_for, patience

BODY = b"GGUF" + bytes(range(256)) * 64


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub({"o/r": {"m.gguf": BODY}, "files/bare": {"m.gguf": BODY}}) as hub:
        yield hub


@pytest.fixture
async def fetcher(hub: FakeHub) -> AsyncIterator[Fetcher]:
    async with fetcher_for(hub) as fetcher:
        yield fetcher


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "m.gguf"


def part_of(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def bare(hub: FakeHub, **changes: object) -> RemoteFile:
    """The file behind a URL, of which nobody knows the hash."""
    return replace(hub.file("o/r", "m.gguf"), url=f"{hub.url}/files/m.gguf", digest=None, **changes)


async def bring(fetcher: Fetcher, file: RemoteFile, target: Path, patient: Patience | None = None) -> list[int]:
    seen: list[int] = []
    await transfer(fetcher, file, target, patient or patience(), seen.append)
    return seen


async def test_a_file_arrives_whole_read_only_and_by_way_of_a_redirect(
    hub: FakeHub, fetcher: Fetcher, target: Path
) -> None:
    seen = await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    assert target.read_bytes() == BODY
    assert target.stat().st_mode & 0o777 == 0o400
    assert seen[-1] == len(BODY)
    assert not part_of(target).exists()


async def test_a_cut_connection_is_taken_up_where_it_broke(hub: FakeHub, fetcher: Fetcher, target: Path) -> None:
    hub.faults = [Fault(cut_after=5000), Fault(cut_after=3000)]
    await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    assert target.read_bytes() == BODY
    assert hub.bodies_asked_for() == [None, "bytes=5000-", "bytes=8000-"]


async def test_what_came_before_a_failure_is_kept_for_the_next_call(
    hub: FakeHub, fetcher: Fetcher, target: Path
) -> None:
    hub.faults = [Fault(cut_after=5000), *[Fault(cut_after=0)] * 4]
    with pytest.raises(FetchFailed, match=r"5,000 of 16,388 bytes are kept, and the same command goes on from there"):
        await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    assert not target.exists()
    assert part_of(target).read_bytes() == BODY[:5000]
    hub.requests.clear()
    await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    assert target.read_bytes() == BODY
    assert hub.bodies_asked_for() == ["bytes=5000-"]


async def test_a_server_that_ignores_the_range_is_taken_from_the_start(
    hub: FakeHub, fetcher: Fetcher, target: Path
) -> None:
    hub.faults = [Fault(cut_after=5000), Fault(ignores_range=True)]
    await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    assert target.read_bytes() == BODY


async def test_a_server_that_sends_another_part_than_was_asked_for_is_refused(
    hub: FakeHub, fetcher: Fetcher, target: Path
) -> None:
    lying = {"Content-Range": f"bytes 4000-{len(BODY) - 1}/{len(BODY)}"}
    hub.faults = [Fault(cut_after=5000), Fault(headers=lying)]
    with pytest.raises(FetchFailed, match="another part"):
        await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    assert part_of(target).read_bytes() == BODY[:5000]


@pytest.mark.parametrize("position", [0, len(BODY) // 2, len(BODY) - 1])
async def test_j9_a_flipped_byte_is_found_and_the_file_removed(
    hub: FakeHub, fetcher: Fetcher, target: Path, position: int
) -> None:
    tampered = bytearray(BODY)
    tampered[position] ^= 1
    hub.faults = [Fault(body=bytes(tampered))]
    with pytest.raises(PullFailed, match=r"not what was promised: its sha256 differs; it was removed"):
        await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    assert list(target.parent.iterdir()) == []


async def test_j9_a_part_that_was_tampered_with_here_is_found_too(hub: FakeHub, fetcher: Fetcher, target: Path) -> None:
    part_of(target).write_bytes(b"XXXX" + BODY[4:5000])
    with pytest.raises(PullFailed, match="not what was promised"):
        await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("body", [BODY[:-1], BODY + b"x"], ids=["shorter", "longer"])
async def test_a_server_whose_file_has_another_size_is_refused_before_anything_is_written(
    hub: FakeHub, fetcher: Fetcher, target: Path, body: bytes
) -> None:
    hub.faults = [Fault(body=body)]
    with pytest.raises(PullFailed, match=r"should have 16,388 bytes, and its server has 16,38[79]"):
        await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    assert list(target.parent.iterdir()) == []


async def test_h5_a_body_without_an_end_is_cut_where_the_file_should_end(
    hub: FakeHub, fetcher: Fetcher, target: Path
) -> None:
    hub.faults = [Fault(body=BODY * 100, is_chunked=True)]
    with pytest.raises(PullFailed, match="does not end where the hub says"):
        await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    assert not target.exists()
    assert part_of(target).stat().st_size <= len(BODY)


class Hurrying(FakeClock):
    """A clock on which a minute passes between any two looks at it."""

    def monotonic(self) -> float:
        self.advance(60)
        return super().monotonic()


async def test_h5_a_body_that_trickles_is_given_up_like_a_broken_connection(
    hub: FakeHub, fetcher: Fetcher, target: Path
) -> None:
    trickling = replace(patience(clock=Hurrying()), min_bytes_per_second=1000.0, min_progress_bytes=1 << 20)
    with pytest.raises(FetchFailed, match="too slowly"):
        await bring(fetcher, hub.file("o/r", "m.gguf"), target, trickling)
    assert len(hub.bodies_asked_for()) == trickling.max_failures


async def test_a_busy_server_is_asked_again_when_it_wishes(hub: FakeHub, fetcher: Fetcher, target: Path) -> None:
    pauses = Pauses()
    hub.faults = [Fault(status=429, headers={"Retry-After": "7"}), Fault(status=503), Fault(status=429)]
    await bring(fetcher, hub.file("o/r", "m.gguf"), target, patience(pauses))
    assert target.read_bytes() == BODY
    assert pauses.seconds == [7.0, 2.0, 4.0]


async def test_a_wish_of_hours_is_not_waited_for_and_patience_ends(
    hub: FakeHub, fetcher: Fetcher, target: Path
) -> None:
    pauses = Pauses()
    hub.faults = [Fault(status=429, headers={"Retry-After": "99999"})] * 5
    with pytest.raises(FetchFailed, match=r"too busy for m.gguf .HTTP 429."):
        await bring(fetcher, hub.file("o/r", "m.gguf"), target, patience(pauses))
    assert pauses.seconds == [120.0] * 4


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_file_that_is_not_to_be_had_is_asked_for_once(
    hub: FakeHub, fetcher: Fetcher, target: Path, status: int
) -> None:
    hub.faults = [Fault(status=status)]
    with pytest.raises(PullFailed, match="does not exist"):
        await bring(fetcher, hub.file("o/r", "m.gguf"), target)
    assert len(hub.bodies_asked_for()) == 1


async def test_a_packed_body_is_refused(hub: FakeHub, fetcher: Fetcher, target: Path) -> None:
    hub.faults = [Fault(headers={"Content-Encoding": "gzip"})]
    with pytest.raises(FetchFailed, match="packed"):
        await bring(fetcher, hub.file("o/r", "m.gguf"), target)


async def test_an_empty_file_arrives_too(fetcher: Fetcher, tmp_path: Path) -> None:
    empty = RemoteFile(path="a.txt", url="https://never.asked/", size=0, digest=None)
    await bring(fetcher, empty, tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == b""


async def test_the_rest_of_a_bare_url_is_taken_only_while_the_file_is_the_same(
    hub: FakeHub, fetcher: Fetcher, target: Path
) -> None:
    file = bare(hub, etag=f'"{hashlib.md5(BODY).hexdigest()}"')
    hub.faults = [Fault(cut_after=5000)]
    await bring(fetcher, file, target)
    assert hub.bodies_asked_for() == [None, "bytes=5000-"]
    target.unlink()
    # The same size and another content: the server sends all of it, and nothing of the old part stays.
    part_of(target).write_bytes(b"?" * 5000)
    await bring(fetcher, replace(file, etag='"of another content"'), target)
    assert target.read_bytes() == BODY


async def test_nothing_of_an_older_content_stays_behind_a_new_beginning_that_is_cut(
    hub: FakeHub, fetcher: Fetcher, target: Path
) -> None:
    file = bare(hub, etag=f'"{hashlib.md5(BODY).hexdigest()}"')
    part_of(target).write_bytes(b"?" * 5000)
    hub.faults = [Fault(ignores_range=True, cut_after=100)]
    await bring(fetcher, file, target)
    assert target.read_bytes() == BODY


async def test_a_bare_url_without_a_mark_of_its_content_is_taken_anew(
    hub: FakeHub, fetcher: Fetcher, target: Path
) -> None:
    part_of(target).write_bytes(b"?" * 5000)
    await bring(fetcher, bare(hub, etag=None), target)
    assert target.read_bytes() == BODY
    assert hub.bodies_asked_for() == [None]
