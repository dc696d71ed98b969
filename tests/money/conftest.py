"""The environment of these tests holds no setting, whatever the machine's holds; and the databases they run on."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.postgres import MISSING, is_installed, running_cluster

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PARLEY_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """The folder of the tests' own PostgreSQL's socket."""
    if not is_installed():
        pytest.skip(MISSING)
    with running_cluster() as folder:
        yield folder


@pytest.fixture
def postgres_url(cluster: Path) -> str:
    """A new, empty database."""
    name = f"parley_{next(_numbers)}"
    engine = create_engine(
        f"postgresql+psycopg://parley@/postgres?host={cluster}", isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return f"postgresql://parley@/{name}?host={cluster}"


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a database is to be made: the tests that ask for it run on both kinds."""
    if request.param == "sqlite":
        return tmp_path / "parley.db"
    url: str = request.getfixturevalue("postgres_url")
    return url
