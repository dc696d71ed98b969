"""What is asked of the hub and what is made of its answers; and that the hub of these tests is one for the hub's own client."""

import hashlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from parley.infra.fetch import Fetcher, FetchFailed
from parley.jobs.pull.hub import Hub
from parley.jobs.pull.reference import HubReference, UrlReference
from parley.jobs.pull.repository import Digest, DigestKind, PullFailed
from tests.builders_pull import COMMIT, TOKEN, FakeHub, Fault, Pauses, fake_hub, fetcher_for, git_blob, patience

BIG = b"GGUF" + bytes(4000)
FILES = {"sub/m-Q4_K_M.gguf": BIG, "config.json": b"{}"}
HERE = HubReference(repository="o/r")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub({"o/r": dict(FILES), "files/bare": {"m.gguf": BIG}}) as hub:
        yield hub


@pytest.fixture
async def fetcher(hub: FakeHub) -> AsyncIterator[Fetcher]:
    async with fetcher_for(hub) as fetcher:
        yield fetcher


def asking(hub: FakeHub, fetcher: Fetcher, pauses: Pauses | None = None) -> Hub:
    return Hub(fetcher, endpoint=hub.url + "/", patience=patience(pauses))


async def test_a_repository_is_pinned_and_every_file_has_its_digest(hub: FakeHub, fetcher: Fetcher) -> None:
    found = await asking(hub, fetcher).repository(HERE)
    assert (found.name, found.commit, found.licence) == ("o/r", COMMIT, "apache-2.0")
    big, small = found.files
    assert big.path == "sub/m-Q4_K_M.gguf"
    assert big.size == len(BIG)
    assert big.digest == Digest(DigestKind.SHA256, hashlib.sha256(BIG).hexdigest())
    assert big.url == f"{hub.url}/o/r/resolve/{COMMIT}/sub/m-Q4_K_M.gguf"
    assert small.digest == Digest(DigestKind.GIT_BLOB, git_blob(b"{}"))


async def test_j6_files_whose_names_lead_elsewhere_are_not_offered(hub: FakeHub, fetcher: Fetcher) -> None:
    hub.repositories["o/r"].files |= {
        "../../etc/x.gguf": BIG,
        "/abs.gguf": BIG,
        "a/\x1b[2J.gguf": BIG,
        ".ssh/k.gguf": BIG,
    }
    found = await asking(hub, fetcher).repository(HERE)
    assert [file.path for file in found.files] == list(FILES)


async def test_a_file_without_a_digest_is_not_offered(hub: FakeHub, fetcher: Fetcher) -> None:
    hub.repositories["o/r"].listed["sub/m-Q4_K_M.gguf"] = (len(BIG), "not a hash")
    found = await asking(hub, fetcher).repository(HERE)
    assert [file.path for file in found.files] == ["config.json"]


async def test_a_gated_repository_says_what_to_do_and_opens_with_a_token(hub: FakeHub, fetcher: Fetcher) -> None:
    hub.repositories["o/r"].is_gated = True
    with pytest.raises(PullFailed, match=r"o/r is gated: accept its terms.*PARLEY_HUB_TOKEN"):
        await asking(hub, fetcher).repository(HERE)
    async with fetcher_for(hub, token=TOKEN) as allowed:
        assert len((await asking(hub, allowed).repository(HERE)).files) == 2


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (HubReference(repository="no/such"), "does not exist, or is not open to everybody"),
        (HubReference(repository="o/r", revision="v9"), "o/r has no such revision"),
    ],
)
async def test_what_is_not_there_is_said(hub: FakeHub, fetcher: Fetcher, reference: HubReference, words: str) -> None:
    with pytest.raises(PullFailed, match=words):
        await asking(hub, fetcher).repository(reference)


async def test_a_busy_hub_is_asked_again(hub: FakeHub, fetcher: Fetcher) -> None:
    pauses = Pauses()
    hub.api_faults = [Fault(status=429, headers={"Retry-After": "3"}), Fault(status=500)]
    await asking(hub, fetcher, pauses).repository(HERE)
    assert pauses.seconds == [3.0, 2.0]


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"sha": 1}', b'{"sha": "main"}', b"\xff\xfe", b"[" * 10_000]
)
async def test_a_server_that_is_no_hub_is_said_to_be_none(hub: FakeHub, fetcher: Fetcher, body: bytes) -> None:
    hub.api_faults = [Fault(body=body)]
    with pytest.raises(PullFailed, match=r"did not answer as a model hub does|names no commit"):
        await asking(hub, fetcher).repository(HERE)


async def test_a_hub_that_cannot_be_reached_is_said_to_be_at_once() -> None:
    pauses = Pauses()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with Fetcher(trusted=nobody) as fetcher:
            with pytest.raises(FetchFailed, match=r"cannot be reached: is there a network\?$"):
                await Hub(fetcher, endpoint=nobody, patience=patience(pauses)).repository(HERE)
    assert pauses.seconds == []


async def test_h5_a_list_that_does_not_end_is_not_waited_for(hub: FakeHub, fetcher: Fetcher) -> None:
    hub.api_faults = [Fault(is_stalling=True)] * 5
    impatient = replace(patience(), listing_seconds=0.05)
    with pytest.raises(FetchFailed, match="does not come to its end"):
        await Hub(fetcher, endpoint=hub.url, patience=impatient).repository(HERE)
    assert hub.api_faults == []


async def test_h5_a_list_that_is_too_long_is_not_read_to_its_end(hub: FakeHub, fetcher: Fetcher) -> None:
    hub.api_faults = [Fault(body=b" " * (33 << 20))]
    with pytest.raises(PullFailed, match="longer than any"):
        await asking(hub, fetcher).repository(HERE)


async def test_a_licence_that_would_move_the_cursor_is_shown_without_that(hub: FakeHub, fetcher: Fetcher) -> None:
    hub.repositories["o/r"].licence = "mit\x1b[2J\n\r"
    assert (await asking(hub, fetcher).repository(HERE)).licence == "mit[2J"


async def test_a_bare_url_is_described_by_its_server(hub: FakeHub, fetcher: Fetcher) -> None:
    sha256 = hashlib.sha256(BIG).hexdigest()
    file = await asking(hub, fetcher).file_at(UrlReference(url=f"{hub.url}/files/m.gguf"), sha256)
    assert (file.path, file.size, file.digest) == ("m.gguf", len(BIG), Digest(DigestKind.SHA256, sha256))
    assert file.etag == f'"{hashlib.md5(BIG).hexdigest()}"'


async def test_a_weak_mark_of_a_url_s_content_is_no_reason_to_go_on_with_a_part(hub: FakeHub, fetcher: Fetcher) -> None:
    hub.faults = [Fault(headers={"ETag": 'W/"1"'})]
    assert (await asking(hub, fetcher).file_at(UrlReference(url=f"{hub.url}/files/m.gguf"), None)).etag is None


async def test_a_url_of_unknown_length_is_not_pulled(hub: FakeHub, fetcher: Fetcher) -> None:
    hub.faults = [Fault(is_chunked=True)]
    with pytest.raises(PullFailed, match="does not say how large"):
        await asking(hub, fetcher).file_at(UrlReference(url=f"{hub.url}/files/m.gguf"), None)


async def test_any_other_answer_is_named(hub: FakeHub, fetcher: Fetcher) -> None:
    hub.api_faults = [Fault(status=418)]
    with pytest.raises(FetchFailed, match=r"127.0.0.1 answered HTTP 418 for o/r"):
        await asking(hub, fetcher).repository(HERE)


def test_the_hub_of_these_tests_serves_the_hub_s_own_client(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Parley is tested against is the protocol as that client speaks it, not as we imagine it."""
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    from huggingface_hub import HfApi, hf_hub_download  # noqa: PLC0415 - it reads the environment when it is imported
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError  # noqa: PLC0415

    theirs = HfApi(endpoint=hub.url, token=False)
    listed = theirs.model_info("o/r", revision="main", files_metadata=True)
    assert listed.sha == COMMIT
    assert listed.card_data is not None
    assert listed.card_data.license == "apache-2.0"
    sizes = {sibling.rfilename: (sibling.size, sibling.blob_id) for sibling in listed.siblings or []}
    assert sizes == {path: (len(body), git_blob(body)) for path, body in FILES.items()}
    lfs = {sibling.rfilename: sibling.lfs for sibling in listed.siblings or []}
    assert lfs["config.json"] is None
    assert lfs["sub/m-Q4_K_M.gguf"].sha256 == hashlib.sha256(BIG).hexdigest()
    for path, body in FILES.items():
        got = hf_hub_download("o/r", path, local_dir=tmp_path, endpoint=hub.url, token=False)
        assert Path(got).read_bytes() == body
    with pytest.raises(RepositoryNotFoundError):
        theirs.model_info("no/such", revision="main")
    with pytest.raises(RevisionNotFoundError):
        theirs.model_info("o/r", revision="v9")
    hub.repositories["o/r"].is_gated = True
    with pytest.raises(GatedRepoError):
        theirs.model_info("o/r", revision="main")
