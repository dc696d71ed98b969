"""What the data folder shows of a first start: that it is under way, or that there was one, so that there must be a ledger."""

from contextlib import suppress
from pathlib import Path

from parley.infra.db import DatabaseRefused
from parley.infra.folder import DataFolder, sync_folder, write_private


class Founding:
    """The first start, step by step: the owner's key waits beside its place until the organization is committed.

    Killed anywhere, it is taken up again by the next start.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._mark = folder.path / "founded"
        self._waiting_key = folder.path / "owner.key.part"

    @property
    def is_over(self) -> bool:
        """Whether an organization was committed here. The owner's key may be kept elsewhere; before there was the mark,
        it was all there was."""
        return self._mark.exists() or self._folder.owner_key_path.exists()

    def check_ledger(self, place: Path | str) -> None:
        """For a database without an organization. Raises DatabaseRefused where there was one."""
        if not self.is_over:
            return
        named = f"the database {place}" if isinstance(place, Path) else "the database"
        log = f", with {place.name}-wal where there is one" if isinstance(place, Path) else ""
        raise DatabaseRefused(f"{named} is empty, though this folder was in use; restore it from a backup{log}")

    def begin(self, owner_key: str) -> None:
        """Keep the owner's key, before it counts."""
        write_private(self._waiting_key, owner_key + "\n")

    def finish(self) -> None:
        """The organization is committed, now or long ago: put the owner's key into its place, and mark the folder."""
        if self._waiting_key.exists():
            if self._folder.owner_key_path.exists():
                # Both, where a backup was put over a first start that died.
                self._waiting_key.unlink()
            else:
                self._waiting_key.replace(self._folder.owner_key_path)
            sync_folder(self._folder.path)
        if not self._mark.exists():
            # A full disk is no reason not to start; the next start tries again.
            with suppress(OSError):
                write_private(
                    self._mark, "This folder belongs to a database: Parley makes no new one beside this file.\n"
                )
