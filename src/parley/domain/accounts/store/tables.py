"""The accounts' tables."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    exists,
    false,
    or_,
)

from parley.domain.accounts.model import LINGERING_SECONDS

METADATA = MetaData()

organizations = Table(
    "organizations",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("name", String(256), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("status", String(16), nullable=False, server_default="active"),
    Column("is_house", Boolean, nullable=False, server_default=false()),
    Column("tier", String(32), nullable=False, server_default="free"),
)
projects = Table(
    "projects",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("organization_id", String(64), ForeignKey("organizations.id"), nullable=False, index=True),
    Column("name", String(256), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("archived_at", Double, nullable=True),
)
keys = Table(
    "keys",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("organization_id", String(64), ForeignKey("organizations.id"), nullable=False, index=True),
    Column("project_id", String(64), ForeignKey("projects.id"), nullable=False, index=True),
    Column("name", String(256), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("last_four", String(4), nullable=False),
    Column("scopes", JSON, nullable=False),
    # SQL's NULL, not JSON's: every model is allowed.
    Column("allowed_models", JSON(none_as_null=True), nullable=True),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double, nullable=True),
    Column("expires_at", Double, nullable=True),
    Column("last_used_at", Double, nullable=True),
    # Neither is a foreign key: who left is gone, and the keys that were theirs are still in the records.
    Column("user_id", String(64), nullable=True),
    Column("service_account_id", String(64), nullable=True),
    Column("limits", JSON, nullable=False, server_default="{}"),
    Column("budget_nano", BigInteger, nullable=True),
    Column("is_admin", Boolean, nullable=False, server_default=false()),
    Column("counted_as", String(64), nullable=True),
    Column("replaced_by", String(64), nullable=True),
    # Those that count are found without those that are over, of which an organization may have any number.
    Index("ix_keys_that_count", "organization_id", "revoked_at", "expires_at"),
    Index("ix_keys_that_count_in_project", "project_id", "revoked_at", "expires_at"),
)
service_accounts = Table(
    "service_accounts",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("organization_id", String(64), ForeignKey("organizations.id"), nullable=False),
    Column("project_id", String(64), ForeignKey("projects.id"), nullable=False, index=True),
    Column("name", String(256), nullable=False),
    Column("created_at", Double, nullable=False),
)
users = Table(
    "users",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(256), nullable=False),
    Column("password_hash", String(256), nullable=True),
    Column("created_at", Double, nullable=False),
)
members = Table(
    "members",
    METADATA,
    Column("organization_id", String(64), ForeignKey("organizations.id"), primary_key=True),
    Column("user_id", String(64), ForeignKey("users.id"), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("added_at", Double, nullable=False),
)
project_members = Table(
    "project_members",
    METADATA,
    Column("project_id", String(64), ForeignKey("projects.id"), primary_key=True),
    Column("user_id", String(64), ForeignKey("users.id"), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("added_at", Double, nullable=False),
)
invites = Table(
    "invites",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("organization_id", String(64), ForeignKey("organizations.id"), nullable=False, index=True),
    Column("email", String(254), nullable=False),
    Column("role", String(16), nullable=False),
    Column("projects", JSON, nullable=False),
    # Not foreign keys: who left is gone, and their invites are not.
    Column("inviter_user_id", String(64), nullable=True),
    Column("inviter_key_id", String(64), nullable=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("invited_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("accepted_at", Double, nullable=True),
)
sign_ups = Table(
    "sign_ups",
    METADATA,
    Column("email", String(254), primary_key=True),
    Column("name", String(256), nullable=False),
    Column("organization_name", String(256), nullable=False),
    Column("password_hash", String(256), nullable=False),
    Column("digest", LargeBinary(32), primary_key=True),
    Column("num_tries", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)
resets = Table(
    "resets",
    METADATA,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", String(64), ForeignKey("users.id"), nullable=False, index=True),
    Column("expires_at", Double, nullable=False),
)
sessions = Table(
    "sessions",
    METADATA,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("user_id", String(64), ForeignKey("users.id"), nullable=False, index=True),
    Column("organization_id", String(64), ForeignKey("organizations.id"), nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)


def live_parts(now: float) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The keys that are neither revoked nor over: those without an end, and those whose end is ahead.

    An index leads to each part alone; of both together SQLite reads every key that is over.
    """
    is_kept = keys.c.revoked_at.is_(None)
    return and_(is_kept, keys.c.expires_at.is_(None)), and_(is_kept, keys.c.expires_at > now)


def is_used(now: float) -> ColumnElement[bool]:
    """Whether a project is not archived, or has a key that is followed: what counts is asked of no others."""
    parts = live_parts(now - LINGERING_SECONDS)
    has_key = [exists().where(keys.c.project_id == projects.c.id, part) for part in parts]
    return or_(projects.c.archived_at.is_(None), *has_key)
