"""A model hub on loopback that speaks the part of the hub's protocol that pulling uses, with faults that a test puts in."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from parley.core.clock import FakeClock
from parley.infra.fetch import Fetcher
from parley.jobs.pull.patience import Patience
from parley.jobs.pull.repository import Digest, DigestKind, RemoteFile

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_secret-of-the-tests"
# As on the real hub, small files are git's own and large ones are kept elsewhere, behind a redirect.
LFS_BYTES = 1000


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong with one answer. `cut_after`: bytes of the body until the connection breaks."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    body: bytes | None = None
    location: str | None = None
    is_stalling: bool = False
    ignores_range: bool = False
    # Whether the answer does not say how long it is.
    is_chunked: bool = False


@dataclass(slots=True, kw_only=True)
class FakeRepository:
    """A repository. `listed` overrides what the hub says of a file: name -> (size, SHA-256)."""

    files: dict[str, bytes]
    licence: str | None = "apache-2.0"
    is_gated: bool = False
    listed: dict[str, tuple[int, str]] = field(default_factory=dict)

    def content_of(self, sha256: str) -> bytes | None:
        return next((body for body in self.files.values() if hashlib.sha256(body).hexdigest() == sha256), None)


@dataclass(slots=True)
class FakeHub:
    """`faults` are used up one by one by requests for a file's bytes, `api_faults` by requests for a listing."""

    url: str = ""
    repositories: dict[str, FakeRepository] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    api_faults: list[Fault] = field(default_factory=list)
    # method, path and headers of every request
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def bodies_asked_for(self) -> list[str | None]:
        """The Range header of each request for a file's bytes."""
        return [headers.get("range") for _, path, headers in self.requests if path.startswith(("/cdn/", "/files/"))]

    def file(self, repository: str, path: str) -> RemoteFile:
        """What a true listing says of a file."""
        body = self.repositories[repository].files[path]
        return RemoteFile(
            path=path,
            url=f"{self.url}/{repository}/resolve/{COMMIT}/{path}",
            size=len(body),
            digest=Digest(DigestKind.SHA256, hashlib.sha256(body).hexdigest()),
        )

    async def list_repository(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        if self.api_faults:
            fault = self.api_faults.pop(0)
            if fault.is_stalling:
                response = web.StreamResponse()
                await response.prepare(request)
                await response.write(b"{")
                await asyncio.sleep(60)
            return web.Response(status=fault.status or 200, headers=fault.headers, body=fault.body)
        name = f"{request.match_info['owner']}/{request.match_info['name']}"
        refused = self._refused(request, name)
        if refused is not None:
            return refused
        repository = self.repositories[name]
        siblings = []
        for path, body in repository.files.items():
            entry: dict[str, object] = {"rfilename": path, "size": len(body), "blobId": git_blob(body)}
            size, sha256 = repository.listed.get(path, (len(body), hashlib.sha256(body).hexdigest()))
            if len(body) >= LFS_BYTES or path in repository.listed:
                entry |= {"size": size, "lfs": {"sha256": sha256, "size": size, "pointerSize": 134}}
            siblings.append(entry)
        card = {} if repository.licence is None else {"license": repository.licence}
        listing = {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "cardData": card, "tags": []}
        return web.json_response(listing | {"private": False, "downloads": 0, "likes": 0})

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        name = f"{request.match_info['owner']}/{request.match_info['name']}"
        refused = self._refused(request, name)
        if refused is not None:
            return refused
        body = self.repositories[name].files.get(request.match_info["path"])
        if body is None:
            return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": COMMIT}
        if len(body) < LFS_BYTES:
            return web.Response(body=body, headers=headers | {"ETag": f'"{git_blob(body)}"'})
        sha256 = hashlib.sha256(body).hexdigest()
        headers |= {"X-Linked-Size": str(len(body)), "X-Linked-Etag": f'"{sha256}"', "ETag": f'"{sha256}"'}
        return web.Response(status=302, headers=headers | {"Location": f"{self.url}/cdn/{name}/{sha256}?signed=1"})

    async def send(self, request: web.Request) -> web.StreamResponse:
        """A file's bytes, as a content network sends them."""
        self._note(request)
        name = f"{request.match_info['owner']}/{request.match_info['name']}"
        body = self.repositories[name].content_of(request.match_info["sha256"])
        return web.Response(status=404) if body is None else await self._send(request, body)

    async def send_bare(self, request: web.Request) -> web.StreamResponse:
        """A file of no repository."""
        self._note(request)
        body = self.repositories["files/bare"].files.get(request.match_info["path"])
        return web.Response(status=404) if body is None else await self._send(request, body)

    async def _send(self, request: web.Request, body: bytes) -> web.StreamResponse:
        fault = self.faults.pop(0) if self.faults else Fault()
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        if fault.location is not None:
            return web.Response(status=302, headers={"Location": fault.location})
        if fault.status is not None:
            return web.Response(status=fault.status, headers=fault.headers)
        body = body if fault.body is None else fault.body
        start = 0
        asked = request.headers.get("Range")
        if asked is not None and not fault.ignores_range and request.headers.get("If-Range", etag) == etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        # The hub's own client follows redirects on one host and looks for the commit at their end.
        headers = {"ETag": etag, "X-Repo-Commit": COMMIT}
        if not fault.is_chunked:
            headers["Content-Length"] = str(len(body) - start)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        headers |= fault.headers
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        end = len(body) if fault.cut_after is None else start + fault.cut_after
        await response.write(body[start:end])
        if fault.is_stalling:
            await asyncio.sleep(60)
        if fault.cut_after is not None and request.transport is not None:
            # What was written goes out first; then the connection ends without the rest.
            request.transport.close()
        return response

    def _refused(self, request: web.Request, name: str) -> web.Response | None:
        repository = self.repositories.get(name)
        if repository is None:
            return web.Response(status=401, headers={"X-Error-Code": "RepoNotFound"})
        if repository.is_gated and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401, headers={"X-Error-Code": "GatedRepo"})
        if request.match_info["revision"] not in {"main", COMMIT}:
            return web.Response(status=404, headers={"X-Error-Code": "RevisionNotFound"})
        return None

    def _note(self, request: web.Request) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.method, request.path, headers))


def git_blob(body: bytes) -> str:
    """What git calls this content."""
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


@contextmanager
def fake_hub(repositories: dict[str, dict[str, bytes]] | None = None) -> Iterator[FakeHub]:
    """Serve on a free port of 127.0.0.1 until the context is left. `repositories`: name -> path -> content."""
    hub, ready, loop = FakeHub(), threading.Event(), asyncio.new_event_loop()
    for name, files in (repositories or {}).items():
        hub.repositories[name] = FakeRepository(files=files)

    async def serve(stop: asyncio.Event) -> None:
        application = web.Application()
        application.router.add_get("/api/models/{owner}/{name}/revision/{revision}", hub.list_repository)
        application.router.add_get("/{owner}/{name}/resolve/{revision}/{path:.+}", hub.resolve)
        application.router.add_get("/cdn/{owner}/{name}/{sha256}", hub.send)
        application.router.add_get("/files/{path:.+}", hub.send_bare)
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(stop)))
    thread.start()
    try:
        assert ready.wait(10)
        yield hub
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@dataclass(slots=True)
class Pauses:
    """Notes how long a pull wished to wait, and does not wait."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def patience(pauses: Pauses | None = None, *, clock: FakeClock | None = None) -> Patience:
    """Patience that takes no time; any progress counts."""
    return Patience(pause=pauses or Pauses(), clock=clock or FakeClock(), min_progress_bytes=1)


@asynccontextmanager
async def fetcher_for(hub: FakeHub, *, token: str | None = None) -> AsyncIterator[Fetcher]:
    """A fetcher that trusts the hub's origin."""
    async with Fetcher(trusted=hub.url, token=token) as fetcher:
        yield fetcher
