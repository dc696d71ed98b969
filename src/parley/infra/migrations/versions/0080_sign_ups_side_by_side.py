"""Several sign-ups of one e-mail address wait side by side, each for its own code. Those that wait at this step are asked again."""

import sqlalchemy as sa
from alembic import op

revision = "0080"
down_revision = "0070"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_anew(keyed_by=("email", "digest"))


def downgrade() -> None:
    _make_anew(keyed_by=("email",))


def _make_anew(*, keyed_by: tuple[str, ...]) -> None:
    op.drop_table("sign_ups")
    op.create_table(
        "sign_ups",
        sa.Column("email", sa.String(254), primary_key="email" in keyed_by),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("organization_name", sa.String(256), nullable=False),
        sa.Column("password_hash", sa.String(256), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), primary_key="digest" in keyed_by, nullable=False),
        sa.Column("num_tries", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
