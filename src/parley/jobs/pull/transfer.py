"""One file from its URL to a path here: taken up where it was left, never longer than promised, hashed when it is whole."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp

from parley.infra.fetch import ConnectionLost, Fetcher, FetchFailed
from parley.jobs.pull.hub import refusal
from parley.jobs.pull.patience import Patience, TryLater
from parley.jobs.pull.repository import PullFailed, RemoteFile

_CHUNK_BYTES = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")

# Gets the bytes that are here of the file.
OnBytes = Callable[[int], None]


async def transfer(fetcher: Fetcher, file: RemoteFile, target: Path, patience: Patience, on_bytes: OnBytes) -> None:
    """Have `file` at `target`, whole, on the disk, and proved to be what was promised.

    What came before a failure stays in `target.part` for the next call; what turns out to be wrong is removed. The
    caller holds the folder for itself. Raises PullFailed, FetchFailed, or OSError when the disk refuses.
    """
    part = target.with_name(target.name + ".part")
    if part.exists() and (part.stat().st_size > file.size or (file.digest is None and file.etag is None)):
        # Nothing says that a rest would belong to what is here.
        part.unlink()
    num_failures = 0
    while (here := _size(part)) < file.size:
        try:
            await _stretch(fetcher, file, part, patience, on_bytes)
        except (ConnectionLost, TryLater) as failure:
            moved = _size(part) - here
            num_failures = 1 if moved >= patience.min_progress_bytes else num_failures + 1
            if num_failures >= patience.max_failures:
                raise _kept(failure, _size(part), file) from None
            await patience.wait(failure, num_failures)
    if file.size == 0:
        part.touch()
    await asyncio.to_thread(_prove, file, part)
    part.replace(target)


async def _stretch(fetcher: Fetcher, file: RemoteFile, part: Path, patience: Patience, on_bytes: OnBytes) -> None:
    """Ask for the rest of a file once and write what comes."""
    here = _size(part)
    headers = {"Range": f"bytes={here}-"} if here else {}
    if here and file.digest is None and file.etag is not None:
        headers["If-Range"] = file.etag
    async with fetcher.get(file.url, headers) as response:
        start = _start(response, file, here)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as written:
            written.truncate(start)
            written.seek(start)
            async for chunk in _at_a_fair_pace(response, file, patience):
                start += len(chunk)
                if start > file.size:
                    raise PullFailed(f"{file.path} does not end where the hub says that it does")
                written.write(chunk)
                on_bytes(start)
    if start < file.size:
        raise ConnectionLost(f"the connection broke in the middle of {file.path}")


def _start(response: aiohttp.ClientResponse, file: RemoteFile, here: int) -> int:
    """Where in the file the answer's body begins. Raises when it is no part of this file."""
    if response.status == 200:
        start, total = 0, response.content_length
    elif response.status == 206:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != here:
            raise FetchFailed(f"{response.url.host} sent another part of {file.path} than was asked for")
        start, total = here, int(found[3])
    else:
        raise refusal(response, file.path)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchFailed(f"{response.url.host} sent {file.path} packed, which was not asked for")
    if total is not None and total != file.size:
        raise PullFailed(
            f"{file.path} should have {file.size:,} bytes, and its server has {total:,}; nothing was taken"
        )
    return start


async def _at_a_fair_pace(
    response: aiohttp.ClientResponse, file: RemoteFile, patience: Patience
) -> AsyncIterator[bytes]:
    """The body; ConnectionLost when it comes so slowly that it may as well not come."""
    since, num_bytes = patience.clock.monotonic(), 0
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        num_bytes += len(chunk)
        seconds = patience.clock.monotonic() - since
        if seconds >= patience.window_seconds:
            if num_bytes < patience.min_bytes_per_second * seconds:
                raise ConnectionLost(f"{response.url.host} sends {file.path} too slowly")
            since, num_bytes = patience.clock.monotonic(), 0
        yield chunk


def _prove(file: RemoteFile, part: Path) -> None:
    with part.open("rb+") as written:
        os.fsync(written.fileno())
    if file.digest is not None and not file.digest.matches(part):
        part.unlink()
        raise PullFailed(f"{file.path} is not what was promised: its {file.digest.kind} differs; it was removed")
    part.chmod(0o400)


def _kept(failure: FetchFailed, here: int, file: RemoteFile) -> FetchFailed:
    if not here:
        return failure
    return FetchFailed(f"{failure}; {here:,} of {file.size:,} bytes are kept, and the same command goes on from there")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
