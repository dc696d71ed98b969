"""Create, change, rotate, revoke and list keys: each one unit of work with its entry in the audit log."""

from dataclasses import dataclass, replace
from typing import TypeVar

from msgspec import UNSET, UnsetType

from parley.core.actor import Actor, ActorKind
from parley.core.errors import InvalidRequest, NotFound, PermissionDenied
from parley.core.limits import Limits
from parley.core.pages import Page, PageRequest
from parley.core.principal import Scope, closure
from parley.domain.accounts.model import ADMIN_SCOPES, IssuedKey, Key, KeyRequest, Project
from parley.domain.accounts.people import appointing_scope
from parley.domain.accounts.service import MAX_COUNTED_TOGETHER
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
from parley.operations.records import Records

Kept = TypeVar("Kept")

MAX_OVERLAP_SECONDS = 30 * 86_400


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

    Raises InvalidRequest for a model that nobody knows and for what administers in a project, MissingScope for more than
    the actor may.
    """
    if project_id is not None:
        check_is_projects(request.scopes)
    request = within_maker(actor, _checked(records, actor, request))

    def issue(transaction: Transaction) -> IssuedKey:
        if project_id is None:
            project = records.accounts.default_project(transaction.connection, actor.organization_id)
        else:
            project = live_project_of(records, transaction.connection, actor, project_id)
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
        key = _living(records, _project_key(records, transaction.connection, actor, project_id, key_id))
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
            if _is_anothers(actor, key):
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
        )
        change_keys(records, transaction, actor, [(key, changed), *_sharing(records, transaction, changed)])
        return changed

    return await records.database.transaction(work)


async def rotate_key(
    records: Records, actor: Actor, key_id: str, *, project_id: str | None, overlap_seconds: float
) -> IssuedKey:
    """A new key that may what the old one may; the old one counts for `overlap_seconds` more.

    Raises NotFound, PermissionDenied for another person's key: whoever gets the new secret acts in that person's name.
    InvalidRequest for one that is over or was rotated before, and where too many of its predecessors still count.
    Both draw on one budget and one set of limits, and so does whatever comes in their place.
    """
    if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidRequest(
            f"Invalid 'overlap_seconds': expected 0 to {MAX_OVERLAP_SECONDS}.", param="overlap_seconds"
        )

    def work(transaction: Transaction) -> IssuedKey:
        connection = transaction.connection
        old = _living(records, _key(records, connection, actor, project_id, key_id))
        if _is_anothers(actor, old):
            raise PermissionDenied(
                "You may not rotate a key that belongs to another person. You may revoke it.", code="not_your_key"
            )
        # An admin key goes on administering when its project is archived.
        find = project_of if old.is_admin else live_project_of
        project = find(records, connection, actor, old.project_id)
        request = KeyRequest(
            name=old.name,
            scopes=old.scopes,
            allowed_models=old.allowed_models,
            expires_at=old.expires_at,
            user_id=old.user_id,
            service_account_id=old.service_account_id,
            limits=old.limits,
            budget_nano=old.budget_nano,
            counted_as=old.spender,
        )
        _check_first_rotation(old)
        if overlap_seconds:
            _check_room_beside(records, connection, old)
            end = records.clock.now() + overlap_seconds
            ended = replace(old, expires_at=end if old.expires_at is None else min(end, old.expires_at))
        else:
            # Before the new one is made: an organization that has all the keys that it may can rotate them.
            ended = records.accounts.revoke(transaction, old)
        issued = records.accounts.issue(transaction, project, within_maker(actor, request))
        if overlap_seconds:
            ended = replace(ended, replaced_by=issued.key.id)
            records.accounts.change_keys(transaction, [ended])
        state_budget(records, transaction, issued.key)
        note(records, transaction, actor, "api_key.rotated", before=old, after=ended)
        note(records, transaction, actor, "api_key.created", after=issued.key)
        change_keys(records, transaction, actor, _sharing(records, transaction, issued.key))
        return issued

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
        key = _key(records, transaction.connection, actor, project_id, key_id)
        revoked = records.accounts.revoke(transaction, key)
        if key.revoked_at is None:
            note_revoked(records, transaction, actor, [revoked])
        return revoked

    return await records.database.transaction(work)


async def find_key(records: Records, actor: Actor, key_id: str, *, project_id: str | None) -> Key:
    """A key of the project, or, where none is named, an admin key of the organization. Raises NotFound."""
    return await records.database.read(lambda connection: _listed_key(records, connection, actor, project_id, key_id))


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


def _changed(kept: Kept, wanted: Kept | UnsetType) -> Kept:
    return kept if isinstance(wanted, UnsetType) else wanted


def _is_anothers(actor: Actor, key: Key) -> bool:
    """Whether the key belongs to another person than the actor. On the command line nothing does."""
    return actor.kind is not ActorKind.COMMAND_LINE and key.user_id not in {None, actor.principal.user_id}


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


def _sharing(records: Records, transaction: Transaction, key: Key) -> list[tuple[Key, Key]]:
    """What becomes of the keys that a key shares its count with: they get its limits and budget, as one count has one bound."""
    others = records.accounts.counted_with(transaction.connection, key)
    return [(other, replace(other, limits=key.limits, budget_nano=key.budget_nano)) for other in others]


def _check_first_rotation(key: Key) -> None:
    """Raises InvalidRequest for a key in its overlap: what came of it again would end with it."""
    if key.replaced_by is not None:
        raise InvalidRequest(
            f"This key was rotated already: {key.replaced_by} takes its place. Rotate that one where its secret was lost.",
            code="already_rotated",
        )


def _check_room_beside(records: Records, connection: Connection, key: Key) -> None:
    """Raises InvalidRequest where as many of the keys before this one still count as may."""
    if len(records.accounts.counted_with(connection, key)) + 1 >= MAX_COUNTED_TOGETHER:
        raise InvalidRequest(
            f"At most {MAX_COUNTED_TOGETHER} keys that came one in another's place count at once. Revoke an old one first.",
            code="limit_reached",
        )


def _key(records: Records, connection: Connection, actor: Actor, project_id: str | None, key_id: str) -> Key:
    """The key, of the project where one is named. Raises NotFound."""
    if project_id is not None:
        return _project_key(records, connection, actor, project_id, key_id)
    key = records.accounts.key(connection, key_id, organization_id=actor.organization_id)
    for scope in (Scope.OPERATOR, Scope.OWNER):
        if scope in key.scopes:
            # Nobody takes away what they could not give.
            require(actor, scope)
    role = records.accounts.standing_of(connection, key.organization_id).roles.get(
        (key.organization_id, key.user_id or "")
    )
    require(actor, Scope.ADMIN if role is None else appointing_scope(role))
    return key


def _living(records: Records, key: Key) -> Key:
    """What was revoked or is over comes back in no form. Raises NotFound, InvalidRequest."""
    if key.revoked_at is not None:
        raise NotFound("No such key.")
    if key.is_over(records.clock.now()):
        raise InvalidRequest("The key has expired. Make a new one.", code="key_expired")
    return key


def _project_key(records: Records, connection: Connection, actor: Actor, project_id: str, key_id: str) -> Key:
    project: Project = project_of(records, connection, actor, project_id)
    key = records.accounts.key(connection, key_id, organization_id=actor.organization_id)
    if key.project_id != project.id or key.is_admin:
        raise NotFound("No such key.")
    # Without the administration's scope, one's own keys alone.
    is_own = key.user_id is not None and key.user_id == actor.principal.user_id
    if not actor.principal.may(Scope.ADMIN) and not is_own and key.id != actor.principal.key_id:
        raise NotFound("No such key.")
    return key


def _listed_key(records: Records, connection: Connection, actor: Actor, project_id: str | None, key_id: str) -> Key:
    if project_id is not None:
        project = project_of(records, connection, actor, project_id)
        key = records.accounts.key(connection, key_id, organization_id=actor.organization_id)
        is_there = key.project_id == project.id and not key.is_admin
    else:
        key = records.accounts.key(connection, key_id, organization_id=actor.organization_id)
        is_there = key.is_admin
    if not is_there or key.revoked_at is not None:
        raise NotFound("No such key.")
    return key
