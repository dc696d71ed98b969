"""People, invites, sessions, what keys may besides, the audit log, and limits of projects."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0002"
branch_labels = None
depends_on = None

_NEW_TABLES = ("rate_limits", "audit_log", "sessions", "resets", "sign_ups", "invites", "project_members", "members")


def upgrade() -> None:
    for column in _organization_columns():
        op.add_column("organizations", column)
    op.add_column("projects", sa.Column("archived_at", sa.Double, nullable=True))
    for column in _key_columns():
        op.add_column("keys", column)
    op.create_index("ix_projects_organization_id", "projects", ["organization_id"])
    op.create_index("ix_keys_organization_id", "keys", ["organization_id"])
    op.create_index("ix_keys_project_id", "keys", ["project_id"])
    _make_people()
    _make_entrances()
    _make_audit_log()
    op.create_table(
        "rate_limits",
        sa.Column("project_id", sa.String(64), primary_key=True),
        sa.Column("model", sa.String(256), primary_key=True),
        sa.Column("limits", sa.JSON, nullable=False),
    )
    _raise_the_first_organization()


def downgrade() -> None:
    for table in (*_NEW_TABLES, "users", "service_accounts"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")
    op.drop_index("ix_projects_organization_id", "projects")
    op.drop_index("ix_keys_organization_id", "keys")
    op.drop_index("ix_keys_project_id", "keys")
    for column in _key_columns():
        op.drop_column("keys", column.name)
    op.drop_column("projects", "archived_at")
    for column in _organization_columns():
        op.drop_column("organizations", column.name)


def _key_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("expires_at", sa.Double, nullable=True),
        sa.Column("last_used_at", sa.Double, nullable=True),
        sa.Column("user_id", sa.String(64), nullable=True),
        sa.Column("service_account_id", sa.String(64), nullable=True),
        sa.Column("limits", sa.JSON, nullable=False, server_default="{}"),
        sa.Column("budget_nano", sa.BigInteger, nullable=True),
        sa.Column("is_admin", sa.Boolean, nullable=False, server_default=sa.false()),
    )


def _organization_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("status", sa.String(16), nullable=False, server_default="active"),
        sa.Column("is_house", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("tier", sa.String(32), nullable=False, server_default="free"),
    )


def _make_people() -> None:
    op.create_table(
        "service_accounts",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("organization_id", sa.String(64), sa.ForeignKey("organizations.id"), nullable=False),
        sa.Column("project_id", sa.String(64), sa.ForeignKey("projects.id"), nullable=False, index=True),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("email", sa.String(254), nullable=False, unique=True),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("password_hash", sa.String(256), nullable=True),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    for table, owner, owners in (
        ("members", "organization_id", "organizations.id"),
        ("project_members", "project_id", "projects.id"),
    ):
        op.create_table(
            table,
            sa.Column(owner, sa.String(64), sa.ForeignKey(owners), primary_key=True),
            sa.Column("user_id", sa.String(64), sa.ForeignKey("users.id"), primary_key=True),
            sa.Column("role", sa.String(16), nullable=False),
            sa.Column("added_at", sa.Double, nullable=False),
        )
    op.create_table(
        "invites",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("organization_id", sa.String(64), sa.ForeignKey("organizations.id"), nullable=False, index=True),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("projects", sa.JSON, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("invited_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("accepted_at", sa.Double, nullable=True),
    )


def _make_entrances() -> None:
    op.create_table(
        "sign_ups",
        sa.Column("email", sa.String(254), primary_key=True),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("organization_name", sa.String(256), nullable=False),
        sa.Column("password_hash", sa.String(256), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("num_tries", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_table(
        "resets",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("user_id", sa.String(64), sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("user_id", sa.String(64), sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("organization_id", sa.String(64), sa.ForeignKey("organizations.id"), nullable=False, index=True),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )


def _make_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("effective_at", sa.Double, nullable=False),
        sa.Column("organization_id", sa.String(64), nullable=False, index=True),
        sa.Column("project_id", sa.String(64), nullable=True),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("resource_id", sa.String(256), nullable=False),
        sa.Column("actor_kind", sa.String(16), nullable=False),
        sa.Column("actor_id", sa.String(64), nullable=False),
        sa.Column("actor_user_id", sa.String(64), nullable=True),
        sa.Column("actor_email", sa.String(254), nullable=True),
        sa.Column("address", sa.String(64), nullable=True),
        sa.Column("user_agent", sa.String(256), nullable=True),
        sa.Column("before", sa.JSON, nullable=True),
        sa.Column("after", sa.JSON, nullable=True),
    )
    # The log only grows, whatever the code above it does.
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_log_no_{verb.lower()} BEFORE {verb} ON audit_log "
                "BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END"
            )
    elif op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _raise_the_first_organization() -> None:
    """The organization of the first start becomes the house, and its owners' keys the operator's."""
    connection = op.get_bind()
    organizations = sa.table("organizations", *[sa.column(name) for name in ("id", "created_at", "is_house", "tier")])
    first = connection.execute(
        sa.select(organizations.c.id).order_by(organizations.c.created_at, organizations.c.id).limit(1)
    ).scalar()
    if first is None:
        return
    connection.execute(organizations.update().where(organizations.c.id == first).values(is_house=True, tier="paid"))
    keys = sa.table("keys", sa.column("id"), sa.column("scopes", sa.JSON), sa.column("is_admin"))
    for key_id, scopes in connection.execute(sa.select(keys.c.id, keys.c.scopes)).all():
        if "admin" in scopes:
            raised = sorted({*scopes, "owner", "operator"})
            connection.execute(keys.update().where(keys.c.id == key_id).values(scopes=raised, is_admin=True))
