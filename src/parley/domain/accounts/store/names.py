"""SQL on what things are called."""

from sqlalchemy import Connection, select

from parley.domain.accounts.store.tables import keys, members, organizations, projects, users


def all_names(connection: Connection, organization_id: str | None) -> dict[str, str]:
    """Id -> name of organizations, projects and keys, and the address of people: of one organization, or of all."""
    found: dict[str, str] = {}
    queries = [
        (select(organizations.c.id, organizations.c.name), organizations.c.id),
        (select(projects.c.id, projects.c.name), projects.c.organization_id),
        (select(keys.c.id, keys.c.name), keys.c.organization_id),
        (
            select(users.c.id, users.c.email.label("name")).join(members, members.c.user_id == users.c.id),
            members.c.organization_id,
        ),
    ]
    for query, owner in queries:
        narrowed = query if organization_id is None else query.where(owner == organization_id)
        found |= {row.id: row.name for row in connection.execute(narrowed)}
    return found
