"""The key in `owner.key`: one that the database does not know tells that its pepper, or the database, is another folder's."""

import logging
from functools import partial

from parley.core.clock import SystemClock
from parley.domain.accounts.ring import Ring
from parley.domain.accounts.service import Accounts
from parley.infra.db import Connection
from parley.infra.folder import DataFolder, DataFolderError
from parley.operations.records import Records

_log = logging.getLogger(__name__)


def check_owner_key(connection: Connection, folder: DataFolder) -> None:
    """Look the owner's key up as a request's would be. Without its file, and before the first start has ended, all is well.

    Raises DataFolderError where the pepper cannot be used, and where the key is unknown.
    """
    clock = SystemClock()
    if Accounts(Ring(b"", clock), clock).is_empty(connection):
        return
    ring = Ring(folder.pepper(may_create=False), clock)
    path = folder.owner_key_path
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise DataFolderError(f"{path} cannot be read: {error}") from None
    if Accounts(ring, clock).key_of_secret(connection, secret) is None:
        raise DataFolderError(
            f"the database does not know the key in {path}: unless that was changed by hand, the pepper or the database is "
            "another folder's and no key counts; restore the database, pepper and owner.key from one backup"
        )


async def warn_of_unknown_owner_key(records: Records) -> None:
    """Say it in the log; the server starts all the same, because other keys may count."""
    try:
        await records.database.read(partial(check_owner_key, folder=records.folder), within_seconds=None)
    except DataFolderError as error:
        _log.warning(str(error))
