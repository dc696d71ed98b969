"""The schema: migrations lead to what the stores say, up and down, and a start on a current one is quick."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from parley.domain.accounts.store import tables as accounts
from parley.domain.audit import store as audit
from parley.domain.billing.store import tables as money
from parley.domain.idempotency import store as idempotency
from parley.domain.limits import store as limits
from parley.domain.usage.store import tables as usage
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
    for part in (accounts, audit, limits, usage, money, idempotency):
        for table in part.METADATA.tables.values():
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


def test_b10_a_step_that_fails_leaves_the_schema_where_it_was(tmp_path: Path) -> None:
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


def test_the_owner_of_an_older_installation_operates_it_after_the_step_to_people(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    create_database_file(path, upgrade)
    with connected(path) as connection:
        downgrade(connection, "0002")
        with connection.begin():
            for statement in (
                "INSERT INTO organizations VALUES ('org-1', 'first', 1.0), ('org-2', 'second', 2.0)",
                "INSERT INTO projects VALUES ('proj_1', 'org-1', 'p', 1.0)",
                "INSERT INTO keys VALUES ('key_1', 'org-1', 'proj_1', 'owner', x'01', 'aaaa', '[\"admin\", \"all\"]', "
                "NULL, 1.0, NULL), ('key_2', 'org-1', 'proj_1', 'app', x'02', 'bbbb', '[\"all\"]', NULL, 1.0, NULL)",
            ):
                connection.exec_driver_sql(statement)
        upgrade(connection)
        with connection.begin():
            houses = connection.exec_driver_sql("SELECT id FROM organizations WHERE is_house").scalars().all()
            keys = connection.exec_driver_sql("SELECT id, scopes, is_admin FROM keys ORDER BY id").all()
    assert houses == ["org-1"]
    assert [tuple(key) for key in keys] == [
        ("key_1", '["admin", "all", "operator", "owner"]', 1),
        ("key_2", '["all"]', 0),
    ]


# Ends the process, as a power cut would, behind a number of statements.
CUT_SHORT = """
import os, signal, sys
from pathlib import Path
import sqlalchemy as sa
from parley.infra.schema import upgrade
from parley.infra.sqlite import open_writer

left = int(sys.argv[2])

def count(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

engine = open_writer(Path(sys.argv[1]))
sa.event.listen(engine, "after_cursor_execute", count)
with engine.connect() as connection:
    upgrade(connection)
"""


def shape(connection: sa.Connection) -> dict[str, set[str]]:
    """Every table with its columns and indexes."""
    with connection.begin():
        inspector = sa.inspect(connection)
        return {
            table: {column["name"] for column in inspector.get_columns(table)}
            | {str(index["name"]) for index in inspector.get_indexes(table)}
            for table in inspector.get_table_names()
        }


def test_b10_a_kill_at_any_statement_leaves_one_schema_or_the_next_and_the_next_start_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    create_database_file(path, upgrade)
    shapes: dict[str | None, dict[str, set[str]]] = {}
    with connected(path) as connection:
        shapes[HEAD] = shape(connection)
        for revision in [*known_revisions()[1:], "base"]:
            downgrade(connection, revision)
            shapes[None if revision == "base" else revision] = shape(connection)
    num_kills = 0
    seen = set()
    # By twos: the shortest step is one statement and the note of its revision.
    for num_statements in range(3, 400, 2):
        command = [sys.executable, "-c", CUT_SHORT, str(path), str(num_statements)]
        status = subprocess.run(command, check=False, capture_output=True).returncode
        with connected(path) as connection:
            reached = current_revision(connection)
            assert shape(connection) == shapes[reached]
            upgrade(connection)
            assert shape(connection) == shapes[HEAD]
            downgrade(connection, "base")
        seen.add(reached)
        if status == 0:
            break
        num_kills += 1
    # Into every step, and through all of them at last.
    assert status == 0
    assert num_kills > len(shapes)
    assert seen == shapes.keys()
