"""Whose keys are: people and service accounts, and who of them reaches the key's project no more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parley.domain.accounts.model import Key, ServiceAccount
from parley.domain.accounts.people import User
from parley.infra.db import Connection
from parley.operations.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """People and service accounts by id; `gone` has the ids of keys whose person does not reach the project any more."""

    users: Mapping[str, User]
    service_accounts: Mapping[str, ServiceAccount]
    gone: frozenset[str]


async def owners_of(records: Records, keys: Sequence[Key]) -> Owners:
    """The owners of keys that are of one organization."""
    user_ids = sorted({key.user_id for key in keys if key.user_id is not None})
    account_ids = sorted({key.service_account_id for key in keys if key.service_account_id is not None})

    def look(connection: Connection) -> Owners:
        return Owners(
            users=records.membership.users(connection, user_ids),
            service_accounts=records.service_accounts.by_id(connection, account_ids),
            gone=records.accounts.keys_of_the_gone(connection, keys) if user_ids else frozenset(),
        )

    return await records.database.read(look)
