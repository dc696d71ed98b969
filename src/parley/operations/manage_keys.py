"""Create, change, revoke and list keys: each one unit of work with its entry in the audit log."""

from dataclasses import dataclass, replace
from typing import TypeVar

from msgspec import UNSET, UnsetType

from parley.core.actor import Actor
from parley.core.errors import InvalidRequest, PermissionDenied
from parley.core.limits import Limits
from parley.core.pages import Page, PageRequest
from parley.core.principal import Scope, closure
from parley.domain.accounts.model import ADMIN_SCOPES, HOUSE_SCOPES, IssuedKey, Key, KeyRequest
from parley.infra.db import Connection, Transaction
from parley.operations.authority import (
    checked_name,
    live_project_of,
    note,
    note_revoked,
    project_of,
    require,
    within_maker,
)
from parley.operations.keys_in_reach import is_anothers, key_in_reach, listed_key, living, project_key
from parley.operations.records import Records

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """What shall change of a key; UNSET: it stays as it is. None takes a bound away."""

    name: str | UnsetType = UNSET
    scopes: frozenset[Scope] | UnsetType = UNSET
    allowed_models: frozenset[str] | UnsetType | None = UNSET
    expires_at: float | UnsetType | None = UNSET
    limits: Limits | UnsetType = UNSET
    budget_nano: int | UnsetType | None = UNSET


async def create_key(
    records: Records, actor: Actor, request: KeyRequest, *, project_id: str | None = None
) -> IssuedKey:
    """A new key of the project, or, where none is named, of the organization's oldest; it counts when this returns.

    Raises InvalidRequest for a model that nobody knows, for what administers in a project and for what only the first
    organization's keys can do in one of another's, MissingScope for more than the actor may.
    """
    if project_id is not None:
        check_is_projects(request.scopes)
    request = within_maker(actor, _checked(records, actor, request))

    def issue(transaction: Transaction) -> IssuedKey:
        if project_id is None:
            project = records.accounts.default_project(transaction.connection, actor.organization_id)
        else:
            project = live_project_of(records, transaction.connection, actor, project_id)
        if not records.accounts.organization(transaction.connection, project.organization_id).is_house:
            _check_is_no_houses(request.scopes)
        issued = records.accounts.issue(transaction, project, request)
        state_budget(records, transaction, issued.key)
        note(records, transaction, actor, "api_key.created", after=issued.key)
        return issued

    return await records.database.transaction(issue)


async def change_key(records: Records, actor: Actor, key_id: str, change: KeyChange, *, project_id: str) -> Key:
    """The key as it is from now on; what the change does not name stays as it is, unless the change gives the key more.

    Raises NotFound, InvalidRequest for one that is over, PermissionDenied for more in another person's name, and what
    `create_key` raises.
    """

    def work(transaction: Transaction) -> Key:
        live_project_of(records, transaction.connection, actor, project_id)
        key = living(records, project_key(records, transaction.connection, actor, project_id, key_id))
        check_is_projects(_changed(frozenset(), change.scopes))
        wanted = KeyRequest(
            name=_changed(key.name, change.name),
            scopes=_changed(key.scopes, change.scopes),
            allowed_models=_changed(key.allowed_models, change.allowed_models),
            expires_at=_changed(key.expires_at, change.expires_at),
            limits=_changed(key.limits, change.limits),
            budget_nano=_changed(key.budget_nano, change.budget_nano),
        )
        checked = _checked(records, actor, wanted, had=key.allowed_models)
        if _gives_more(key, checked):
            if is_anothers(actor, key):
                raise PermissionDenied("You may only narrow a key that belongs to another person.", code="not_your_key")
            checked = within_maker(actor, checked)
        changed = replace(
            key,
            name=checked.name,
            scopes=checked.scopes,
            allowed_models=checked.allowed_models,
            expires_at=checked.expires_at,
            limits=checked.limits,
            budget_nano=checked.budget_nano,
            # Whose overlap is made longer, or endless, stands for itself again.
            replaced_by=None if _is_beyond(checked.expires_at, key.expires_at) else key.replaced_by,
        )
        change_keys(records, transaction, actor, [(key, changed), *sharing(records, transaction, changed)])
        return changed

    return await records.database.transaction(work)


def change_keys(records: Records, transaction: Transaction, actor: Actor, changes: list[tuple[Key, Key]]) -> None:
    """Make of keys of one organization, as they are, what they shall be, each with its note; what stays is left alone."""
    changes = [(before, after) for before, after in changes if after != before]
    if not changes:
        return
    records.accounts.change_keys(transaction, [after for _, after in changes])
    for before, after in changes:
        state_budget(records, transaction, after, before=before)
        note(records, transaction, actor, "api_key.updated", before=before, after=after)


def state_budget(records: Records, transaction: Transaction, key: Key, *, before: Key | None = None) -> None:
    """Have the ledger say what a key's budget is from now on, where it is another than `before`."""
    if key.budget_nano != (None if before is None else before.budget_nano):
        records.billing.state_budget(transaction, key.id, key.budget_nano)


async def revoke_key(records: Records, actor: Actor, key_id: str, *, project_id: str | None = None) -> Key:
    """The key no longer counts when this returns. `project_id` None: any key of the organization. Raises NotFound."""

    def work(transaction: Transaction) -> Key:
        key = key_in_reach(records, transaction.connection, actor, project_id, key_id)
        revoked = records.accounts.revoke(transaction, key)
        if key.revoked_at is None:
            note_revoked(records, transaction, actor, [revoked])
        return revoked

    return await records.database.transaction(work)


async def find_key(records: Records, actor: Actor, key_id: str, *, project_id: str | None) -> Key:
    """A key of the project, or, where none is named, an admin key of the organization. Raises NotFound."""
    return await records.database.read(lambda connection: listed_key(records, connection, actor, project_id, key_id))


async def list_keys(records: Records, actor: Actor, page: PageRequest, *, project_id: str | None) -> Page[Key]:
    """Keys that are not revoked: of the project, or, where none is named, the organization's admin keys."""

    def work(connection: Connection) -> Page[Key]:
        if project_id is not None:
            project_of(records, connection, actor, project_id)
        return records.accounts.list_keys(connection, actor.organization_id, page, project_id=project_id)

    return await records.database.read(work)


async def all_keys(records: Records) -> list[Key]:
    """Every key of the installation, the oldest first, revoked ones too: for its operator."""
    return await records.database.read(records.accounts.all_keys)


async def identify_keys(records: Records, secrets: list[str]) -> list[Key | None]:
    """For each secret the key that it is, if it is one of ours, revoked or not: for the operator who found it."""
    return await records.database.read(
        lambda connection: [records.accounts.key_of_secret(connection, secret) for secret in secrets]
    )


def _checked(records: Records, actor: Actor, request: KeyRequest, *, had: frozenset[str] | None = None) -> KeyRequest:
    """The request with what it names looked at; models that the key `had` may be gone by now."""
    if not request.scopes:
        raise InvalidRequest("A key needs a scope.", param="scopes")
    require(actor, Scope.KEYS if request.scopes.isdisjoint(ADMIN_SCOPES) else Scope.ADMIN)
    known = {name for name, _, _ in records.catalog.entries()}
    unknown = sorted((request.allowed_models or frozenset()) - known - (had or frozenset()))
    if unknown:
        raise InvalidRequest(f"There is no model called {unknown[0][:80]!r}.", param="models")
    return replace(request, name=checked_name(request.name))


def check_is_projects(scopes: frozenset[Scope]) -> None:
    """Raises InvalidRequest for what administers: such keys are in a list of their own, where whoever administers sees them."""
    administrative = sorted(scopes & ADMIN_SCOPES)
    if administrative:
        raise InvalidRequest(
            f"Invalid 'scopes': a key of a project cannot have {administrative[0].value!r}. Administrative keys are made "
            "under /v1/organization/admin_api_keys.",
            param="scopes",
            code="invalid_value",
        )


def _check_is_no_houses(scopes: frozenset[Scope]) -> None:
    """Raises InvalidRequest for what does not count in keys of another organization than the first."""
    reaching = sorted(scopes & HOUSE_SCOPES)
    if reaching:
        raise InvalidRequest(
            f"Invalid 'scopes': only a key of the first organization can have {reaching[0].value!r}.",
            param="scopes",
            code="invalid_value",
        )


def _changed(kept: Kept, wanted: Kept | UnsetType) -> Kept:
    return kept if isinstance(wanted, UnsetType) else wanted


def _gives_more(key: Key, wanted: KeyRequest) -> bool:
    """Whether the key would get anything that it does not have."""
    models = key.allowed_models
    return (
        not wanted.scopes <= closure(key.scopes)
        or (models is not None and (wanted.allowed_models is None or not wanted.allowed_models <= models))
        or _is_beyond(wanted.expires_at, key.expires_at)
        or _is_beyond(wanted.budget_nano, key.budget_nano)
        or wanted.limits.within(key.limits) != wanted.limits
    )


def _is_beyond(wanted: float | None, bound: float | None) -> bool:
    """Whether one bound is looser than another; None: there is none."""
    return bound is not None and (wanted is None or wanted > bound)


def sharing(records: Records, transaction: Transaction, key: Key) -> list[tuple[Key, Key]]:
    """What becomes of the keys that a key shares its count with: they get its limits and budget, as one count has one bound."""
    others = records.accounts.counted_with(transaction.connection, key)
    return [(other, replace(other, limits=key.limits, budget_nano=key.budget_nano)) for other in others]
