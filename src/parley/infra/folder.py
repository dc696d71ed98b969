"""The data folder: private files in it, and the lock that lets one process write."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from parley.core.errors import OperatorError


class DataFolderError(OperatorError):
    """The data folder cannot be used. The message is one line for the operator."""


class DataFolder:
    """The folder that `PARLEY_DATA` names. Only its owner may enter it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pepper_path = path / "pepper"
        self.owner_key_path = path / "owner.key"
        self.catalog_path = path / "catalog.toml"
        self.models_path = path / "models"
        self.control_path = path / "control.sock"
        self.tiers_path = path / "tiers.toml"
        self.uploads_path = path / "uploads"
        self.outbox_path = path / "outbox"
        self.lock_path = path / "lock"

    def prepare(self) -> None:
        """Make the folder, closed to others; an existing one keeps its rights (`parley doctor` speaks of them)."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.models_path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DataFolderError(f"PARLEY_DATA: {self.path} cannot be made: {error.strerror}") from None
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise DataFolderError(f"PARLEY_DATA: {self.path} cannot be written by this user")

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder for this process. Raises DataFolderError at once when another process holds it."""
        return exclusive_lock(self.lock_path, what=str(self.path))

    def pepper(self, *, may_create: bool) -> bytes:
        """The secret that keys are digested with; it is never in the database.

        Made when it is missing and `may_create`. Without it no stored key can be recognised, so it is never replaced.
        """
        if may_create and not self.pepper_path.exists():
            write_private(self.pepper_path, secrets.token_hex(32) + "\n")
        try:
            pepper = bytes.fromhex(self.pepper_path.read_text(encoding="ascii").strip())
        except FileNotFoundError:
            raise DataFolderError(
                f"{self.pepper_path} is missing, without which no key in the database counts; restore it from a backup"
            ) from None
        except (OSError, ValueError) as error:
            raise DataFolderError(f"{self.pepper_path} cannot be used: {error}") from None
        if len(pepper) < 32:
            raise DataFolderError(f"{self.pepper_path} is damaged: it holds {len(pepper)} bytes, not 32; restore it")
        return pepper


@contextmanager
def exclusive_lock(path: Path, *, what: str) -> Iterator[None]:
    """Hold `what` for this process by a lock on the file `path`. Raises DataFolderError when another process holds it.

    The kernel frees the lock when the process ends, however it ends; the file stays and means nothing by itself.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            raise DataFolderError(
                f"{what} is in use by another Parley process{f' (pid {holder})' if holder else ''}; "
                "stop it first, or choose another folder with PARLEY_DATA"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; a reader, or a crash, finds the old content or the new, whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make a rename in this folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
