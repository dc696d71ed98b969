"""May this actor do that? What every operation on accounts asks first, and the note in the audit log that each leaves."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from enum import Enum

from parley.core.actor import Actor, ActorKind
from parley.core.errors import InvalidRequest, MissingScope, NotFound
from parley.core.limits import Limits
from parley.core.principal import Scope, closure
from parley.domain.accounts.model import Key, KeyRequest, Project
from parley.domain.accounts.people import Role, appointing_scope
from parley.domain.audit.model import Change
from parley.infra.db import Connection, Transaction
from parley.operations.records import Records

# What the audit log never shows of an object.
_SECRET_FIELDS = frozenset({"digest", "password_hash"})
_MAX_NAME_CHARACTERS = 256
# They join or part the letters beside them: Persian and Indic names have them, and pictures made of several.
_JOINERS = str.maketrans("", "", "\u200c\u200d")


def require(actor: Actor, scope: Scope) -> None:
    """Raises MissingScope, in the words in which a route refuses."""
    if not actor.principal.may(scope):
        raise missing_scope(scope)


def missing_scope(scope: Scope) -> MissingScope:
    """The refusal of what a key or session may not do."""
    return MissingScope(
        f"You have insufficient permissions for this operation. Missing scopes: {scope.value}. Check that you have the "
        "correct role in your organization and project, and if you're using a restricted API key, that it has the "
        "necessary scopes."
    )


def project_of(records: Records, connection: Connection, actor: Actor, project_id: str) -> Project:
    """A project that the actor reaches. Raises NotFound, in the same words for one that is another's."""
    project = records.accounts.project(connection, actor.organization_id, project_id)
    if not actor.principal.reaches(project.id):
        raise NotFound("No such project.")
    return project


def live_project_of(records: Records, connection: Connection, actor: Actor, project_id: str) -> Project:
    """As `project_of`, for what changes something in it. Raises InvalidRequest for an archived one."""
    project = project_of(records, connection, actor, project_id)
    if project.archived_at is not None:
        raise InvalidRequest("The project is archived.", code="project_archived")
    return project


def check_appointment(actor: Actor, *roles: Role) -> None:
    """Raises MissingScope for roles that the actor may not give or take away."""
    require(actor, appointing_scope(*roles))


def within_maker(actor: Actor, request: KeyRequest) -> KeyRequest:
    """The request, narrowed to what its maker may: models, end, limits and budget. Raises MissingScope for more scopes.

    A key never exceeds its maker: what it may do is a part of what the maker may.
    """
    maker = actor.principal
    beyond = sorted(request.scopes - closure(maker.scopes))
    if beyond:
        raise missing_scope(beyond[0])
    models = request.allowed_models
    if maker.allowed_models is not None:
        if models is None:
            models = maker.allowed_models
        elif not models <= maker.allowed_models:
            raise InvalidRequest("A key may not use models that its maker may not use.", param="models")
    # A person's session ends soon, and the keys that they make outlive it; a key's do not.
    own_end = None if actor.kind is ActorKind.SESSION else maker.expires_at
    ends = [end for end in (request.expires_at, own_end) if end is not None]
    budgets = [budget for budget in (request.budget_nano, maker.budget_nano) if budget is not None]
    return replace(
        request,
        allowed_models=models,
        expires_at=min(ends, default=None),
        limits=request.limits.within(maker.limits),
        budget_nano=min(budgets, default=None),
    )


def checked_name(name: str) -> str:
    """A name as it is kept. Raises InvalidRequest, also for control characters, which a terminal would obey."""
    kept = name.strip()
    seen = kept.translate(_JOINERS)
    if not seen or len(kept) > _MAX_NAME_CHARACTERS or not seen.isprintable():
        raise InvalidRequest(
            f"Invalid 'name': it must have 1 to {_MAX_NAME_CHARACTERS} printable characters.",
            param="name",
            code="invalid_value",
        )
    return kept


def note(
    records: Records,
    transaction: Transaction,
    actor: Actor,
    type_: str,
    *,
    before: object = None,
    after: object = None,
) -> None:
    """Note a change of one object, given as it was and as it became, in the unit of work that makes it.

    The object says by its fields what it is: `id`, `organization_id`, `project_id`; a member by its user and by what
    `type_` is about.
    """
    shown_before, shown_after = _shown(before), _shown(after)
    seen = shown_after or shown_before or {}
    user_id = actor.principal.user_id
    user = None if user_id is None else records.membership.users(transaction.connection, [user_id]).get(user_id)
    change = Change(
        type=type_,
        organization_id=str(seen.get("organization_id") or actor.organization_id),
        resource_id=str(seen.get("id") or ""),
        project_id=str(seen["project_id"]) if seen.get("project_id") else None,
        before=shown_before,
        after=shown_after,
    )
    records.audit.note(transaction, actor, change, email=None if user is None else user.email)


def note_revoked(records: Records, transaction: Transaction, actor: Actor, keys: Iterable[Key]) -> None:
    """Note of each of these keys that it was revoked, in the unit of work that did it."""
    for key in keys:
        note(records, transaction, actor, "api_key.deleted", before=replace(key, revoked_at=None), after=key)


def _shown(value: object) -> dict[str, object] | None:
    """An object's fields as JSON can hold them, without its secrets."""
    if value is None:
        return None
    shown = _plain(value)
    return shown if isinstance(shown, dict) else {"value": shown}


def _plain(value: object) -> object:
    if isinstance(value, Limits):
        return dict(value.stated())
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name not in _SECRET_FIELDS}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(str(_plain(inner)) for inner in value)
    return value
