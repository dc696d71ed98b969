"""The hub's API, as far as pulling needs it: what a repository holds at one revision, and where each file is."""

import asyncio
import re
from urllib.parse import quote

import aiohttp
import msgspec

from parley.infra.fetch import ConnectionLost, Fetcher, FetchFailed
from parley.jobs.pull.patience import Patience, TryLater, retried, try_later
from parley.jobs.pull.reference import HubReference, UrlReference
from parley.jobs.pull.repository import Digest, DigestKind, PullFailed, RemoteFile, Repository, is_safe_path

_MAX_LISTING_BYTES = 32 << 20
_SHA256, _SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


class _Lfs(msgspec.Struct):
    sha256: str
    size: int


class _Sibling(msgspec.Struct):
    rfilename: str
    size: int | None = None
    blobId: str | None = None  # noqa: N815 - the hub's name
    lfs: _Lfs | None = None


class _Card(msgspec.Struct):
    license: str | list[str] | None = None


class _Listing(msgspec.Struct):
    sha: str
    siblings: list[_Sibling] = []
    cardData: _Card | None = None  # noqa: N815 - the hub's name


class Hub:
    """Asks the hub at `endpoint`. Every method raises PullFailed or FetchFailed, each one line for the operator."""

    def __init__(self, fetcher: Fetcher, *, endpoint: str, patience: Patience) -> None:
        self._fetcher = fetcher
        self._endpoint = endpoint.rstrip("/")
        self._patience = patience

    async def repository(self, reference: HubReference) -> Repository:
        """The repository at the revision that the reference means now, pinned to its commit."""
        name, revision = reference.repository, quote(reference.revision, safe="")
        url = f"{self._endpoint}/api/models/{name}/revision/{revision}?blobs=true"
        raw = await retried(lambda: self._read(url, name), self._patience)
        try:
            listing = msgspec.json.decode(raw, type=_Listing)
        except (msgspec.DecodeError, ValueError):
            raise PullFailed(f"{self._endpoint} did not answer as a model hub does") from None
        if not _SHA1.fullmatch(listing.sha):
            raise PullFailed(f"{self._endpoint} names no commit for {name}")
        files = [self._file(name, listing.sha, sibling) for sibling in listing.siblings]
        return Repository(
            name=name,
            commit=listing.sha,
            files=tuple(file for file in files if file is not None),
            licence=_licence(listing.cardData),
        )

    async def file_at(self, reference: UrlReference, sha256: str | None) -> RemoteFile:
        """The file behind a bare URL, as its server describes it."""
        return await retried(lambda: self._describe(reference, sha256), self._patience)

    async def _read(self, url: str, name: str) -> bytes:
        async with self._fetcher.get(url) as response:
            await self._refuse(response, name)
            try:
                async with asyncio.timeout(self._patience.listing_seconds):
                    return await _whole_body(response, name)
            except TimeoutError:
                raise ConnectionLost(f"the hub's list of {name} does not come to its end") from None

    async def _describe(self, reference: UrlReference, sha256: str | None) -> RemoteFile:
        async with self._fetcher.get(reference.url) as response:
            await self._refuse(response, reference.file_name)
            size, etag = response.content_length, response.headers.get("ETag")
            # The body is not read: what is wanted of it is asked for again, from where the last pull ended.
            response.close()
        if not size:
            raise PullFailed(f"the server does not say how large {reference.file_name!r} is; it is not pulled unseen")
        return RemoteFile(
            path=reference.file_name,
            url=reference.url,
            size=size,
            digest=None if sha256 is None else Digest(DigestKind.SHA256, sha256),
            etag=etag if etag and not etag.startswith("W/") else None,
        )

    async def _refuse(self, response: aiohttp.ClientResponse, name: str) -> None:
        if response.status != 200:
            raise refusal(response, name)

    def _file(self, repository: str, commit: str, sibling: _Sibling) -> RemoteFile | None:
        """None for a file without a usable name or digest: it cannot be asked for, because it could not be checked."""
        digest = _digest(sibling)
        size = sibling.lfs.size if sibling.lfs is not None else sibling.size
        if digest is None or size is None or size < 0 or not is_safe_path(sibling.rfilename):
            return None
        return RemoteFile(
            path=sibling.rfilename,
            url=f"{self._endpoint}/{repository}/resolve/{commit}/{quote(sibling.rfilename)}",
            size=size,
            digest=digest,
        )


async def _whole_body(response: aiohttp.ClientResponse, name: str) -> bytes:
    body = bytearray()
    async for part in response.content.iter_chunked(1 << 16):
        body += part
        if len(body) > _MAX_LISTING_BYTES:
            raise PullFailed(f"the hub's list of {name} is longer than any")
    return bytes(body)


def refusal(response: aiohttp.ClientResponse, name: str) -> PullFailed | TryLater | FetchFailed:
    """What a status that is no success means for whoever asked for `name`."""
    later = try_later(response, name)
    if later is not None:
        return later
    code = response.headers.get("X-Error-Code", "")
    if code == "GatedRepo":
        return PullFailed(
            f"{name} is gated: accept its terms on its page on the hub, then set PARLEY_HUB_TOKEN to a token of yours"
        )
    if code in {"RevisionNotFound", "EntryNotFound"}:
        return PullFailed(f"{name} has no such {'revision' if code == 'RevisionNotFound' else 'file'}")
    if response.status in {401, 403}:
        # The hub answers 401 also for what does not exist, lest it tell of private repositories.
        return PullFailed(
            f"{name} does not exist, or is not open to everybody: set PARLEY_HUB_TOKEN if you may have it"
        )
    if response.status in {404, 410}:
        return PullFailed(f"{name} does not exist there")
    return FetchFailed(f"{response.url.host} answered HTTP {response.status} for {name}")


def _digest(sibling: _Sibling) -> Digest | None:
    if sibling.lfs is not None:
        return Digest(DigestKind.SHA256, sibling.lfs.sha256) if _SHA256.fullmatch(sibling.lfs.sha256) else None
    if sibling.blobId is not None and _SHA1.fullmatch(sibling.blobId):
        return Digest(DigestKind.GIT_BLOB, sibling.blobId)
    return None


def _licence(card: _Card | None) -> str:
    stated = card.license if card is not None else None
    text = ", ".join(stated) if isinstance(stated, list) else stated or ""
    # It goes to a terminal and into a file, and whoever made the repository wrote it.
    return "".join(character for character in text if character.isprintable())[:100]
