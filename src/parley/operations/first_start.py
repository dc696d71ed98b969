"""The first start: an organization with its project, the owner's key in its file, and the operator's bootstrap key."""

import logging
from functools import partial

from parley.core.principal import Scope
from parley.domain.accounts.key_shape import new_secret
from parley.domain.accounts.model import OWNER_SCOPES, Key, KeyRequest
from parley.infra.db import Transaction
from parley.operations.founding import Founding
from parley.operations.records import Records

_log = logging.getLogger(__name__)
_BOOTSTRAP = KeyRequest(name="bootstrap", scopes=OWNER_SCOPES)


async def ensure_owner(records: Records, bootstrap_key: str | None) -> str | None:
    """Make the owner at the first start and return the owner's key, to be shown once; None at every later start.

    The first bootstrap key that an installation is ever given becomes an owner key. A later one is not added, because a
    key that was revoked, rotated or has ended must not come back with the environment; it is said in the log.
    """
    owner_key, founding = None, Founding(records.folder)
    if await records.database.read(records.accounts.is_empty):
        owner_key = new_secret()
        # Written before it counts: after a crash in between, the next start is still the first and writes another.
        founding.begin(owner_key)
        await records.database.transaction(partial(_found, records, owner_key))
    founding.finish()
    if bootstrap_key is not None and records.keys.authenticate(bootstrap_key) is None:
        await _bootstrap(records, bootstrap_key)
    return owner_key


def _found(records: Records, owner_key: str, transaction: Transaction) -> None:
    project = records.accounts.found(transaction, "Default organization", is_house=True)
    records.accounts.issue(transaction, project, KeyRequest(name="owner", scopes=OWNER_SCOPES), secret=owner_key)
    house = records.accounts.organization(transaction.connection, project.organization_id)

    def follow() -> None:
        records.billing.set_first_organization(house.id)
        records.rates.set_tier(house.id, house.tier)

    transaction.on_commit_in_loop(follow)


def _is_bootstrap(key: Key) -> bool:
    """Whether a key of the first organization is, or was, the bootstrap key: whoever has keys there may call one of theirs so."""
    return key.name == _BOOTSTRAP.name and Scope.OPERATOR in key.scopes and key.user_id is None


async def _bootstrap(records: Records, secret: str) -> None:
    def issue(transaction: Transaction) -> bool:
        connection = transaction.connection
        house_id = records.accounts.house_id(connection)
        if records.accounts.key_of_secret(connection, secret) is not None:
            # It was made here, by whatever name, and counts no more.
            return False
        if any(key.organization_id == house_id and _is_bootstrap(key) for key in records.accounts.all_keys(connection)):
            return False
        project = records.accounts.default_project(connection, house_id)
        records.accounts.issue(transaction, project, _BOOTSTRAP, secret=secret)
        return True

    if not await records.database.transaction(issue):
        _log.warning(
            "PARLEY_BOOTSTRAP_KEY is ignored: this installation was given another one before, or it was revoked or has ended; "
            "make keys with `parley keys create`"
        )
