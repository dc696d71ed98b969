"""SQL on keys."""

from collections.abc import Mapping

from sqlalchemy import Connection, Row, bindparam, func, or_, select, update

from parley.core.limits import Limits
from parley.core.pages import Page, PageRequest, page_of
from parley.core.principal import Scope
from parley.domain.accounts.model import ADMIN_SCOPES, LINGERING_SECONDS, Key
from parley.domain.accounts.store.paging import Order, paged
from parley.domain.accounts.store.tables import keys, live_parts


def insert_key(connection: Connection, key: Key) -> None:
    connection.execute(
        keys.insert().values(
            id=key.id,
            organization_id=key.organization_id,
            project_id=key.project_id,
            name=key.name,
            digest=key.digest,
            last_four=key.last_four,
            scopes=sorted(key.scopes),
            allowed_models=None if key.allowed_models is None else sorted(key.allowed_models),
            created_at=key.created_at,
            revoked_at=key.revoked_at,
            expires_at=key.expires_at,
            user_id=key.user_id,
            service_account_id=key.service_account_id,
            limits=key.limits.stated(),
            budget_nano=key.budget_nano,
            is_admin=key.is_admin,
            counted_as=key.counted_as,
            replaced_by=key.replaced_by,
        )
    )


def update_key(connection: Connection, key: Key) -> None:
    """Store what may change: name, scopes, models, limits, budget, end, revocation and successor."""
    connection.execute(
        update(keys)
        .where(keys.c.id == key.id)
        .values(
            name=key.name,
            scopes=sorted(key.scopes),
            allowed_models=None if key.allowed_models is None else sorted(key.allowed_models),
            limits=key.limits.stated(),
            budget_nano=key.budget_nano,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            replaced_by=key.replaced_by,
        )
    )


def all_keys(connection: Connection) -> list[Key]:
    """Every key, the oldest first, revoked ones too."""
    return [_key(row) for row in connection.execute(select(keys).order_by(keys.c.created_at, keys.c.id))]


def followed_keys(
    connection: Connection,
    now: float,
    organization_id: str | None = None,
    *,
    user_id: str | None = None,
    service_account_id: str | None = None,
    project_id: str | None = None,
) -> list[Key]:
    """The keys that are neither revoked nor over for longer than something may run with them.

    Those of the organization or of all; of a person or of a service account alone; of a project, with the admin keys.
    """
    query = select(keys)
    if organization_id is not None:
        query = query.where(keys.c.organization_id == organization_id)
    if user_id is not None:
        query = query.where(keys.c.user_id == user_id)
    if service_account_id is not None:
        query = query.where(keys.c.service_account_id == service_account_id)
    if project_id is not None:
        query = query.where(or_(keys.c.project_id == project_id, keys.c.is_admin))
    parts = live_parts(now - LINGERING_SECONDS)
    return [_key(row) for part in parts for row in connection.execute(query.where(part))]


def count_followed_keys(connection: Connection, organization_id: str, now: float) -> int:
    """How many `followed_keys` the organization has."""
    query = select(func.count()).select_from(keys).where(keys.c.organization_id == organization_id)
    return sum(connection.execute(query.where(part)).scalar_one() for part in live_parts(now - LINGERING_SECONDS))


def find_key(connection: Connection, key_id: str) -> Key | None:
    row = connection.execute(select(keys).where(keys.c.id == key_id)).first()
    return None if row is None else _key(row)


def find_by_digest(connection: Connection, digest: bytes) -> Key | None:
    row = connection.execute(select(keys).where(keys.c.digest == digest)).first()
    return None if row is None else _key(row)


def list_keys(connection: Connection, organization_id: str, page: PageRequest, *, project_id: str | None) -> Page[Key]:
    """The keys that are not revoked: of the project, or, where it is None, the organization's admin keys."""
    query = select(keys).where(keys.c.organization_id == organization_id)
    if project_id is None:
        query = query.where(keys.c.is_admin.is_(True))
    else:
        query = query.where(keys.c.project_id == project_id, keys.c.is_admin.is_(False))
    query = paged(connection, query, Order(table=keys), page, shown=keys.c.revoked_at.is_(None))
    return page_of([_key(row) for row in connection.execute(query)], page.limit)


def keys_counted_as(connection: Connection, organization_id: str, spender: str, now: float) -> list[Key]:
    """The organization's keys that are neither revoked nor over and whose limits and budget are counted in this name."""
    query = select(keys).where(keys.c.organization_id == organization_id)
    query = query.where(or_(keys.c.id == spender, keys.c.counted_as == spender))
    return [_key(row) for part in live_parts(now) for row in connection.execute(query.where(part))]


def revoke_rest(
    connection: Connection, now: float, organization_id: str, *, user_id: str | None, service_account_id: str | None
) -> None:
    """Revoke what a person or a service account has besides `followed_keys`: no clock that is set back brings it back."""
    whose = keys.c.user_id == user_id if user_id is not None else keys.c.service_account_id == service_account_id
    mine = (keys.c.organization_id == organization_id, keys.c.revoked_at.is_(None), whose)
    connection.execute(update(keys).where(*mine).values(revoked_at=now))


def set_revoked(connection: Connection, key_id: str, revoked_at: float) -> None:
    """Mark a key revoked; one that already is keeps its first time."""
    connection.execute(
        update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=revoked_at)
    )


def set_last_used(connection: Connection, times: Mapping[str, float]) -> None:
    """Note when keys were last used."""
    if times:
        connection.execute(
            update(keys).where(keys.c.id == bindparam("key_id")).values(last_used_at=bindparam("used_at")),
            [{"key_id": key_id, "used_at": time} for key_id, time in times.items()],
        )


def _key(row: Row[tuple[object, ...]]) -> Key:
    scopes = frozenset(Scope(scope) for scope in row.scopes)
    return Key(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        name=row.name,
        digest=row.digest,
        last_four=row.last_four,
        # A project's key could once be given what administers, by a change; in no list of admin keys, it counts for nothing.
        scopes=scopes if row.is_admin else scopes - ADMIN_SCOPES,
        allowed_models=None if row.allowed_models is None else frozenset(row.allowed_models),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        user_id=row.user_id,
        service_account_id=row.service_account_id,
        limits=Limits(**row.limits),
        budget_nano=row.budget_nano,
        counted_as=row.counted_as,
        replaced_by=row.replaced_by,
    )
