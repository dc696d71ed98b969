"""Create, revoke and list keys: each one unit of work."""

from parley.core.errors import InvalidRequest
from parley.domain.accounts.model import IssuedKey, Key, KeyRequest
from parley.infra.db import Transaction
from parley.operations.records import Records

_MAX_NAME_CHARACTERS = 256


async def create_key(records: Records, request: KeyRequest) -> IssuedKey:
    """A new key of the default project; it counts when this returns. Raises InvalidRequest for a model that nobody knows."""
    if len(request.name) > _MAX_NAME_CHARACTERS:
        raise InvalidRequest(f"A key's name may have {_MAX_NAME_CHARACTERS} characters.", param="name")
    known = {name for name, _, _ in records.catalog.entries()}
    unknown = sorted((request.allowed_models or frozenset()) - known)
    if unknown:
        raise InvalidRequest(f"There is no model called {unknown[0]!r}.", param="models")

    def issue(transaction: Transaction) -> IssuedKey:
        project = records.accounts.default_project(transaction.connection)
        return records.accounts.issue(transaction, project, request)

    return await records.database.transaction(issue)


async def revoke_key(records: Records, key_id: str) -> Key:
    """The key no longer counts when this returns. Raises NotFound."""
    return await records.database.transaction(lambda transaction: records.accounts.revoke(transaction, key_id))


async def list_keys(records: Records) -> list[Key]:
    """Every key, the oldest first, revoked ones too."""
    return await records.database.read(records.accounts.list_keys)
