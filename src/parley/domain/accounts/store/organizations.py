"""SQL on organizations, projects and service accounts."""

from sqlalchemy import Connection, Row, func, select, update

from parley.core.pages import Page, PageRequest, page_of
from parley.domain.accounts.model import Organization, OrganizationStatus, Project, ServiceAccount
from parley.domain.accounts.store.paging import Order, paged
from parley.domain.accounts.store.tables import is_used, organizations, projects, service_accounts


def count_organizations(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(organizations)).scalar_one()


def insert_organization(connection: Connection, organization: Organization) -> None:
    connection.execute(
        organizations.insert().values(
            id=organization.id,
            name=organization.name,
            created_at=organization.created_at,
            status=organization.status.value,
            is_house=organization.is_house,
            tier=organization.tier,
        )
    )


def find_organization(connection: Connection, organization_id: str) -> Organization | None:
    row = connection.execute(select(organizations).where(organizations.c.id == organization_id)).first()
    return None if row is None else _organization(row)


def find_house_id(connection: Connection) -> str | None:
    """The organization that operates the installation."""
    return connection.execute(select(organizations.c.id).where(organizations.c.is_house)).scalar()


def all_organizations(connection: Connection) -> list[Organization]:
    return [_organization(row) for row in connection.execute(select(organizations))]


def list_organizations(connection: Connection, page: PageRequest) -> Page[Organization]:
    query = paged(connection, select(organizations), Order(table=organizations), page)
    return page_of([_organization(row) for row in connection.execute(query)], page.limit)


def update_organization(connection: Connection, organization: Organization) -> None:
    """Store what may change: name, status and tier."""
    connection.execute(
        update(organizations)
        .where(organizations.c.id == organization.id)
        .values(name=organization.name, status=organization.status.value, tier=organization.tier)
    )


def insert_project(connection: Connection, project: Project) -> None:
    connection.execute(
        projects.insert().values(
            id=project.id,
            organization_id=project.organization_id,
            name=project.name,
            created_at=project.created_at,
            archived_at=project.archived_at,
        )
    )


def update_project(connection: Connection, project: Project) -> None:
    """Store what may change: the name, and when it was archived."""
    connection.execute(
        update(projects).where(projects.c.id == project.id).values(name=project.name, archived_at=project.archived_at)
    )


def find_project(connection: Connection, organization_id: str, project_id: str) -> Project | None:
    """The project, where it is the organization's."""
    row = connection.execute(
        select(projects).where(projects.c.id == project_id, projects.c.organization_id == organization_id)
    ).first()
    return None if row is None else _project(row)


def find_any_project(connection: Connection, project_id: str) -> Project | None:
    row = connection.execute(select(projects).where(projects.c.id == project_id)).first()
    return None if row is None else _project(row)


def first_project(connection: Connection, organization_id: str) -> Project | None:
    """The organization's project that was made first, of those that are not archived."""
    query = select(projects).order_by(projects.c.created_at, projects.c.id).limit(1)
    query = query.where(projects.c.organization_id == organization_id, projects.c.archived_at.is_(None))
    row = connection.execute(query).first()
    return None if row is None else _project(row)


def used_projects(connection: Connection, organization_id: str | None, now: float) -> list[Project]:
    """The projects that are not archived or have a key that counts, of the organization or of all, the oldest first."""
    query = select(projects).where(is_used(now)).order_by(projects.c.created_at, projects.c.id)
    if organization_id is not None:
        query = query.where(projects.c.organization_id == organization_id)
    return [_project(row) for row in connection.execute(query)]


def count_projects(connection: Connection, organization_id: str) -> int:
    """How many of the organization are not archived."""
    return connection.execute(
        select(func.count())
        .select_from(projects)
        .where(projects.c.organization_id == organization_id, projects.c.archived_at.is_(None))
    ).scalar_one()


def list_projects(
    connection: Connection,
    organization_id: str,
    page: PageRequest,
    *,
    project_ids: frozenset[str] | None,
    includes_archived: bool,
) -> Page[Project]:
    """Projects of the organization; only those of `project_ids` where it is given."""
    query = select(projects).where(projects.c.organization_id == organization_id)
    if project_ids is not None:
        query = query.where(projects.c.id.in_(sorted(project_ids)))
    shown = None if includes_archived else projects.c.archived_at.is_(None)
    query = paged(connection, query, Order(table=projects), page, shown=shown)
    return page_of([_project(row) for row in connection.execute(query)], page.limit)


def insert_service_account(connection: Connection, account: ServiceAccount) -> None:
    connection.execute(
        service_accounts.insert().values(
            id=account.id,
            organization_id=account.organization_id,
            project_id=account.project_id,
            name=account.name,
            created_at=account.created_at,
        )
    )


def find_service_account(connection: Connection, project_id: str, account_id: str) -> ServiceAccount | None:
    row = connection.execute(
        select(service_accounts).where(service_accounts.c.id == account_id, service_accounts.c.project_id == project_id)
    ).first()
    return None if row is None else _service_account(row)


def find_service_accounts(connection: Connection, account_ids: list[str]) -> dict[str, ServiceAccount]:
    """By id."""
    query = select(service_accounts).where(service_accounts.c.id.in_(account_ids))
    return {row.id: _service_account(row) for row in connection.execute(query)}


def rename_service_account(connection: Connection, account_id: str, name: str) -> None:
    connection.execute(update(service_accounts).where(service_accounts.c.id == account_id).values(name=name))


def list_service_accounts(connection: Connection, project_id: str, page: PageRequest) -> Page[ServiceAccount]:
    query = select(service_accounts).where(service_accounts.c.project_id == project_id)
    query = paged(connection, query, Order(table=service_accounts), page)
    return page_of([_service_account(row) for row in connection.execute(query)], page.limit)


def delete_service_account(connection: Connection, account_id: str) -> None:
    connection.execute(service_accounts.delete().where(service_accounts.c.id == account_id))


def _organization(row: Row[tuple[object, ...]]) -> Organization:
    return Organization(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        status=OrganizationStatus(row.status),
        is_house=row.is_house,
        tier=row.tier,
    )


def _project(row: Row[tuple[object, ...]]) -> Project:
    return Project(
        id=row.id,
        organization_id=row.organization_id,
        name=row.name,
        created_at=row.created_at,
        archived_at=row.archived_at,
    )


def _service_account(row: Row[tuple[object, ...]]) -> ServiceAccount:
    return ServiceAccount(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        name=row.name,
        created_at=row.created_at,
    )
