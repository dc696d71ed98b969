"""Engines on PostgreSQL: how its sessions are set up, whatever the database's own settings are, and which database is refused."""

from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from parley.infra.sqlite import DatabaseRefused

if TYPE_CHECKING:
    import psycopg

# What libpq is told where the URL says nothing about it. A server that went away without a word is noticed after some ten
# seconds, whether an answer is waited for or nothing is.
_CONNECTING: dict[str, int | str] = {
    "connect_timeout": 10,
    "application_name": "parley",
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# What a database or a role may have been given that would change what we read, or how long we may write and stay connected.
# Readers set a time of their own for each transaction. A commit that was answered must be on the disk; which disks, where that
# of the standbys counts too, is the operator's to say.
_SESSION = """
SELECT set_config(wanted.name, wanted.setting, false)
FROM pg_settings JOIN (VALUES
    ('statement_timeout', '0'), ('lock_timeout', '0'), ('transaction_timeout', '0'),
    ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'),
    ('extra_float_digits', '1'), ('standard_conforming_strings', 'on'), ('default_transaction_isolation', 'read committed'),
    ('synchronous_commit', 'on')
) AS wanted (name, setting) USING (name)
WHERE wanted.name <> 'synchronous_commit' OR pg_settings.setting = 'off'
"""


def open_engine(url: str, *, may_write: bool) -> Engine:
    """An engine on `postgresql://...`; one that may not write has transactions that cannot, each on the state of one moment.

    Raises DatabaseRefused for what is no such address.
    """
    options = {} if may_write else {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
    try:
        address = make_url("postgresql+psycopg" + url.removeprefix("postgresql"))
    except (ArgumentError, ValueError):
        # Its words may hold a part of the password.
        raise DatabaseRefused(
            "PARLEY_DATABASE_URL cannot be read: its port must be a number, and characters such as / : @ # in user and "
            "password must be written as %2F %3A %40 %23"
        ) from None
    engine = create_engine(
        address,
        pool_size=2,
        # A statement that fails is logged, and its values may be digests and addresses.
        hide_parameters=True,
        # A reader that meets a server that was restarted connects again.
        pool_pre_ping=not may_write,
        execution_options=options,
        connect_args={name: value for name, value in _CONNECTING.items() if name not in address.query}
        | {"client_encoding": "utf8"},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: "psycopg.Connection[object]", _entry: ConnectionPoolEntry) -> None:
        connection.execute(_SESSION)
        connection.commit()

    return engine


def refuse_unfit(connection: Connection) -> None:
    """Close the connection and raise DatabaseRefused where the database cannot hold what Parley keeps."""
    with connection.begin():
        encoding = connection.execute(text("SHOW server_encoding")).scalar()
    if encoding != "UTF8":
        connection.close()
        raise DatabaseRefused(
            f"PARLEY_DATABASE_URL: the database's encoding is {encoding}, which cannot hold every text; make one with "
            "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )


def refuse_read_only(connection: Connection) -> None:
    """Raise DatabaseRefused where nothing can be written: a standby, or a setting."""
    with connection.begin():
        if connection.execute(text("SHOW transaction_read_only")).scalar() == "on":
            raise DatabaseRefused(
                "PARLEY_DATABASE_URL: the database is read only: it is a standby, or has default_transaction_read_only"
            )


def lacks_of_durability(connection: Connection) -> list[str]:
    """What the server is set to that lets a power cut take what was committed; nothing for SQLite."""
    if connection.dialect.name != "postgresql":
        return []
    setting = text("SELECT current_setting(:name)")
    names = ("fsync", "full_page_writes")
    return [name for name in names if connection.execute(setting, {"name": name}).scalar() == "off"]


def first_line(error: DBAPIError) -> str:
    """The server's own words."""
    return str(error.orig).strip().splitlines()[0]
