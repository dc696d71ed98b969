"""The accounts' tables and all SQL on them."""

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Double,
    ForeignKey,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    func,
    select,
    update,
)

from parley.core.principal import Scope
from parley.domain.accounts.model import Key, Organization, Project

METADATA = MetaData()

_organizations = Table(
    "organizations",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("name", String(256), nullable=False),
    Column("created_at", Double, nullable=False),
)
_projects = Table(
    "projects",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("organization_id", String(64), ForeignKey("organizations.id"), nullable=False),
    Column("name", String(256), nullable=False),
    Column("created_at", Double, nullable=False),
)
_keys = Table(
    "keys",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("organization_id", String(64), ForeignKey("organizations.id"), nullable=False),
    Column("project_id", String(64), ForeignKey("projects.id"), nullable=False),
    Column("name", String(256), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("last_four", String(4), nullable=False),
    Column("scopes", JSON, nullable=False),
    # SQL's NULL, not JSON's: every model is allowed.
    Column("allowed_models", JSON(none_as_null=True), nullable=True),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double, nullable=True),
)


def insert_organization(connection: Connection, organization: Organization) -> None:
    connection.execute(
        _organizations.insert().values(id=organization.id, name=organization.name, created_at=organization.created_at)
    )


def insert_project(connection: Connection, project: Project) -> None:
    connection.execute(
        _projects.insert().values(
            id=project.id, organization_id=project.organization_id, name=project.name, created_at=project.created_at
        )
    )


def insert_key(connection: Connection, key: Key) -> None:
    connection.execute(
        _keys.insert().values(
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
        )
    )


def count_organizations(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(_organizations)).scalar_one()


def has_organization(connection: Connection, organization_id: str) -> bool:
    query = select(_organizations.c.id).where(_organizations.c.id == organization_id)
    return connection.execute(query).first() is not None


def first_project(connection: Connection) -> Project | None:
    """The project that was made first: the one of the first start."""
    row = connection.execute(select(_projects).order_by(_projects.c.created_at, _projects.c.id).limit(1)).first()
    if row is None:
        return None
    return Project(id=row.id, organization_id=row.organization_id, name=row.name, created_at=row.created_at)


def list_keys(connection: Connection) -> list[Key]:
    """Every key, the oldest first, revoked ones too."""
    return [_key(row) for row in connection.execute(select(_keys).order_by(_keys.c.created_at, _keys.c.id))]


def find_key(connection: Connection, key_id: str) -> Key | None:
    row = connection.execute(select(_keys).where(_keys.c.id == key_id)).first()
    return None if row is None else _key(row)


def set_revoked(connection: Connection, key_id: str, revoked_at: float) -> None:
    """Mark a key revoked; one that already is keeps its first time."""
    connection.execute(
        update(_keys).where(_keys.c.id == key_id, _keys.c.revoked_at.is_(None)).values(revoked_at=revoked_at)
    )


def _key(row: Row[tuple[object, ...]]) -> Key:
    return Key(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        name=row.name,
        digest=row.digest,
        last_four=row.last_four,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        allowed_models=None if row.allowed_models is None else frozenset(row.allowed_models),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
