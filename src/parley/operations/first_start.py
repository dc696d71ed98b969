"""The first start: an organization with its project, the owner's key in its file, and the operator's bootstrap key."""

import logging

from parley.domain.accounts.model import OWNER_SCOPES, KeyRequest, new_secret
from parley.infra.db import Transaction
from parley.infra.folder import write_private
from parley.operations.records import Records

_log = logging.getLogger(__name__)


async def ensure_owner(records: Records, bootstrap_key: str | None) -> str | None:
    """Make the owner at the first start and return the owner's key, to be shown once; None at every later start.

    A bootstrap key counts at the first start only. A later one that is no key here is not added, because a revoked key
    must not come back with the environment; it is said in the log.
    """
    if not await records.database.read(records.accounts.is_empty):
        if bootstrap_key is not None and records.keys.authenticate(bootstrap_key) is None:
            _log.warning(
                "PARLEY_BOOTSTRAP_KEY is not a key of this installation and is ignored: it counts at the first start only; "
                "make keys with `parley keys create`"
            )
        return None
    owner_key = new_secret()
    # Written before it counts: after a crash in between, the next start is still the first and writes another.
    write_private(records.folder.owner_key_path, owner_key + "\n")

    def found(transaction: Transaction) -> None:
        project = records.accounts.found(transaction, "Default organization")
        owner = KeyRequest(name="owner", scopes=OWNER_SCOPES)
        records.accounts.issue(transaction, project, owner, secret=owner_key)
        if bootstrap_key is not None:
            bootstrap = KeyRequest(name="bootstrap", scopes=OWNER_SCOPES)
            records.accounts.issue(transaction, project, bootstrap, secret=bootstrap_key)

    await records.database.transaction(found)
    return owner_key
