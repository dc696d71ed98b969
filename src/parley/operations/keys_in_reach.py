"""Which key an actor means, and whether it is theirs to touch: what every change and every reading of a key begins with."""

from parley.core.actor import Actor, ActorKind
from parley.core.errors import InvalidRequest, NotFound
from parley.core.principal import Scope
from parley.domain.accounts.model import Key, Project
from parley.domain.accounts.people import appointing_scope
from parley.infra.db import Connection
from parley.operations.authority import project_of, require
from parley.operations.records import Records


def is_anothers(actor: Actor, key: Key) -> bool:
    """Whether the key belongs to another person than the actor. On the command line nothing does."""
    return actor.kind is not ActorKind.COMMAND_LINE and key.user_id not in {None, actor.principal.user_id}


def key_in_reach(records: Records, connection: Connection, actor: Actor, project_id: str | None, key_id: str) -> Key:
    """The key, of the project where one is named. Raises NotFound."""
    if project_id is not None:
        return project_key(records, connection, actor, project_id, key_id)
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


def living(records: Records, key: Key) -> Key:
    """What was revoked or is over comes back in no form. Raises NotFound, InvalidRequest."""
    if key.revoked_at is not None:
        raise NotFound("No such key.")
    if key.is_over(records.clock.now()):
        raise InvalidRequest("The key has expired. Make a new one.", code="key_expired")
    return key


def project_key(records: Records, connection: Connection, actor: Actor, project_id: str, key_id: str) -> Key:
    """A key of the project that the actor may change: their own, or anybody's for who administers. Raises NotFound."""
    project: Project = project_of(records, connection, actor, project_id)
    key = records.accounts.key(connection, key_id, organization_id=actor.organization_id)
    if key.project_id != project.id or key.is_admin:
        raise NotFound("No such key.")
    # Without the administration's scope, one's own keys alone.
    is_own = key.user_id is not None and key.user_id == actor.principal.user_id
    if not actor.principal.may(Scope.ADMIN) and not is_own and key.id != actor.principal.key_id:
        raise NotFound("No such key.")
    return key


def listed_key(records: Records, connection: Connection, actor: Actor, project_id: str | None, key_id: str) -> Key:
    """A key that lists show: of the project, or, where none is named, an admin key. Raises NotFound."""
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
