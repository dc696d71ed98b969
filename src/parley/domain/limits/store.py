"""The table of projects' own limits and all SQL on it."""

from collections.abc import Iterator

from sqlalchemy import JSON, Column, Connection, MetaData, String, Table, delete, select

from parley.core.limits import Limits

METADATA = MetaData()

_rate_limits = Table(
    "rate_limits",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    # A snapshot's name, or that of an alias: what the request asked for counts.
    Column("model", String(256), primary_key=True),
    Column("limits", JSON, nullable=False),
)


def replace(connection: Connection, project_id: str, model: str, limits: Limits) -> None:
    """Keep the limits of a project on a model, in the place of earlier ones."""
    connection.execute(
        delete(_rate_limits).where(_rate_limits.c.project_id == project_id, _rate_limits.c.model == model)
    )
    connection.execute(_rate_limits.insert().values(project_id=project_id, model=model, limits=limits.stated()))


def all_limits(connection: Connection) -> Iterator[tuple[str, str, Limits]]:
    """(project, model, limits) of all projects that have limits of their own."""
    for row in connection.execute(select(_rate_limits)):
        yield row.project_id, row.model, Limits(**row.limits)
