"""PostgreSQL: the mark of the last commit, by which one whose answer was lost is known again."""

import sqlalchemy as sa
from alembic import op

revision = "0090"
down_revision = "0080"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        marks = op.create_table("commit_marks", sa.Column("mark", sa.String(32), nullable=False))
        op.bulk_insert(marks, [{"mark": ""}])


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_table("commit_marks")
