"""Some files of one repository at one revision, brought into the data folder together: all of them, or none to be seen."""

import hashlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from parley.infra.fetch import Fetcher
from parley.infra.folder import DataFolder, DataFolderError, exclusive_lock
from parley.jobs.pull.contents import refuse_code
from parley.jobs.pull.patience import Patience
from parley.jobs.pull.repository import PullFailed, RemoteFile
from parley.jobs.pull.transfer import transfer

# What a disk keeps for the records of a server that may be running beside.
_SPARE_BYTES = 64 << 20
# How long the beginning of a set is kept for a pull that goes on with it.
_KEPT_SECONDS = 14 * 86_400

# Gets the bytes that are here of all the files.
OnBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSet:
    """What to bring in. Each file's path is safe; a digest pins each, but for a bare URL's."""

    label: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def key(self) -> str:
        """The same for the same contents under the same names."""
        parts = sorted(f"{file.path}\0{file.key}\n" for file in self.files)
        return hashlib.sha256("".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bringing:
    """What bringing files in needs beside the files. `free_bytes` says how much room the disk of a folder has."""

    fetcher: Fetcher
    folder: DataFolder
    patience: Patience = field(default_factory=Patience)
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free


@asynccontextmanager
async def brought(files: FileSet, bringing: Bringing, on_bytes: OnBytes) -> AsyncIterator[Path]:
    """A folder with the files under their paths, whole, proved and read-only, for the caller to move what it wants of.

    The folder is one of its own for this set: what a failure or Ctrl-C left is taken up by the next call for the same
    set, and what the caller leaves when its block ends without an error is removed. One pull at a time, so that the room
    on the disk that was counted is still there. Raises PullFailed or FetchFailed.
    """
    pulls = bringing.folder.models_path / ".pull"
    staging = pulls / files.key[:32]
    try:
        pulls.mkdir(mode=0o700, exist_ok=True)
        with _alone(pulls):
            _sweep(pulls, bringing.patience.clock.now())
            staging.mkdir(mode=0o700, exist_ok=True)
            _require_room(files, staging, bringing.free_bytes)
            await _bring(files, staging, bringing, on_bytes)
            yield staging
            # The caller may have moved the folder itself.
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise PullFailed(
            f"{files.label} cannot be kept in {pulls.parent}: {error.strerror}; what has come so far is kept"
        ) from None


async def _bring(files: FileSet, staging: Path, bringing: Bringing, on_bytes: OnBytes) -> None:
    done = 0
    for file in files.files:
        target = staging / file.path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not target.exists():
            await transfer(bringing.fetcher, file, target, bringing.patience, partial(_count, on_bytes, done))
        try:
            refuse_code(target)
        except PullFailed:
            target.unlink()
            raise
        done += file.size
        on_bytes(done)


def _count(on_bytes: OnBytes, before: int, here: int) -> None:
    on_bytes(before + here)


def _sweep(pulls: Path, now: float) -> None:
    """Remove what was given up long ago; nobody else would."""
    for left in pulls.iterdir():
        if left.is_dir() and now - left.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(left)


def _require_room(files: FileSet, staging: Path, free_bytes: Callable[[Path], int]) -> None:
    here = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
    needed, free = files.size - here + _SPARE_BYTES, free_bytes(staging)
    if needed > free:
        raise PullFailed(
            f"{files.label} needs {needed / 1e9:,.2f} GB more on the disk of {staging.parent.parent}, "
            f"where {free / 1e9:,.2f} GB are free"
        )


@contextmanager
def _alone(pulls: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(pulls / "lock", what=str(pulls)))
        except DataFolderError:
            raise PullFailed(f"another pull into {pulls.parent} is running; wait for it, or stop it") from None
        yield
