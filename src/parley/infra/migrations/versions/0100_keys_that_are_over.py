"""Keys that are over: they are passed over where those that count are looked for, and a key says which one took its place."""

import sqlalchemy as sa
from alembic import op

revision = "0100"
down_revision = "0090"
branch_labels = None
depends_on = None

_INDEXES = {"ix_keys_that_count": "organization_id", "ix_keys_that_count_in_project": "project_id"}


def upgrade() -> None:
    # None: it was not rotated, or by an older version, which did not write it down.
    op.add_column("keys", sa.Column("replaced_by", sa.String(64), nullable=True))
    for name, owner in _INDEXES.items():
        op.create_index(name, "keys", [owner, "revoked_at", "expires_at"])


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, "keys")
    op.drop_column("keys", "replaced_by")
