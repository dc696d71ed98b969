"""The schema: brings a database to the newest one, each step whole or not at all."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from parley.infra.sqlite import DatabaseRefused

if TYPE_CHECKING:
    from alembic.config import Config

# The newest revision. Written here so that a start on a current database need not load Alembic, which takes longer than
# everything else; a test compares it with the scripts.
HEAD = "0100"
_SCRIPTS = Path(__file__).parent / "migrations"


class DatabaseOutdated(DatabaseRefused):
    """The database is of an older Parley; the next start brings it to the newest schema."""


class DatabaseEmpty(DatabaseRefused):
    """The database has no tables; the first start makes them."""


def current_revision(connection: Connection) -> str | None:
    """The revision that the database is at; None for one without tables."""
    with connection.begin():
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return revision


def upgrade(connection: Connection) -> None:
    """Bring the database to HEAD. Raises DatabaseRefused for one that a newer Parley wrote."""
    found = current_revision(connection)
    if found == HEAD:
        return
    from alembic import command  # noqa: PLC0415 - see HEAD

    _refuse_unknown(found)
    command.upgrade(_config(connection), "head")


def require_newest(connection: Connection) -> None:
    """Raise DatabaseEmpty, DatabaseOutdated for a database of an older Parley, or DatabaseRefused for one of a newer."""
    found = current_revision(connection)
    if found == HEAD:
        return
    if found is None:
        raise DatabaseEmpty("the database has no tables; start `parley serve` once, or restore it from a backup")
    _refuse_unknown(found)
    raise DatabaseOutdated("the database is of an older Parley; start `parley serve` once, which brings it up to date")


def downgrade(connection: Connection, revision: str) -> None:
    """Take the database back to `revision` (`base` for no tables at all). What newer tables held is lost."""
    from alembic import command  # noqa: PLC0415 - see HEAD

    command.downgrade(_config(connection), revision)


def known_revisions() -> list[str]:
    """Every revision that the scripts lead to, newest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see HEAD

    return [script.revision for script in ScriptDirectory(str(_SCRIPTS)).walk_revisions()]


def _refuse_unknown(revision: str | None) -> None:
    if revision is not None and revision not in known_revisions():
        raise DatabaseRefused(
            f"the database is at schema {revision}, which this version does not know; use a newer Parley"
        )


def _config(connection: Connection) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - see HEAD

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
