"""Who invites: an invite counts while they may give what it gives."""

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # None: not known, as of what an older version sent, which counts for the few days that it has.
    for name in ("inviter_user_id", "inviter_key_id"):
        op.add_column("invites", sa.Column(name, sa.String(64), nullable=True))


def downgrade() -> None:
    for name in ("inviter_key_id", "inviter_user_id"):
        op.drop_column("invites", name)
