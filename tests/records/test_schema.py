"""The schema: migrations lead to what the stores say, up and down, and a start on a current one is quick."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from parley.domain.accounts import store as accounts
from parley.domain.billing.store import tables as money
from parley.domain.idempotency import store as idempotency
from parley.domain.usage import store as usage
from parley.infra.schema import HEAD, current_revision, downgrade, known_revisions, upgrade
from parley.infra.sqlite import create_database_file, open_writer


@contextmanager
def connected(path: Path) -> Iterator[sa.Connection]:
    engine = open_writer(path)
    with closing(engine.connect()) as connection:
        yield connection
    engine.dispose()


def test_the_newest_revision_is_the_one_that_is_written_down() -> None:
    assert known_revisions()[0] == HEAD


def test_migrations_make_exactly_what_the_stores_use(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    create_database_file(path, upgrade)
    together = sa.MetaData()
    for metadata in (accounts.METADATA, usage.METADATA, money.METADATA, idempotency.METADATA):
        for table in metadata.tables.values():
            table.to_metadata(together)
    with connected(path) as connection, connection.begin():
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, together) == []


def test_every_step_can_be_taken_back_and_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    create_database_file(path, upgrade)
    with connected(path) as connection:
        for revision in [*known_revisions()[1:], "base"]:
            downgrade(connection, revision)
            assert current_revision(connection) == (None if revision == "base" else revision)
        with connection.begin():
            assert sa.inspect(connection).get_table_names() == ["alembic_version"]
        upgrade(connection)
        assert current_revision(connection) == HEAD
        with connection.begin():
            assert "usage_records" in sa.inspect(connection).get_table_names()


def test_a_step_that_fails_leaves_the_schema_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    create_database_file(path, upgrade)
    with connected(path) as connection:
        downgrade(connection, "base")
        with connection.begin():
            # The step meets this table when it has already made others.
            connection.execute(sa.text("CREATE TABLE usage_records (obstacle TEXT)"))
        try:
            upgrade(connection)
        except sa.exc.OperationalError:
            connection.rollback()
        assert current_revision(connection) is None
        with connection.begin():
            assert sorted(sa.inspect(connection).get_table_names()) == ["alembic_version", "usage_records"]


def test_opening_a_current_database_does_not_load_alembic(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    create_database_file(path, upgrade)
    program = (
        "import asyncio, sys; from pathlib import Path; from parley.infra.db import Database\n"
        "async def main():\n    async with await Database.open(Path(sys.argv[1])): pass\n"
        "asyncio.run(main()); print('alembic' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
