"""Usage records say when their usage is an estimate or was disputed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("usage_records", sa.Column("doubt", sa.String(16), nullable=True))


def downgrade() -> None:
    op.drop_column("usage_records", "doubt")
