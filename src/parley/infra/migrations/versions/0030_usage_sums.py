"""Usage by minute, hour and day: sums beside the records, and whose key each record was."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0020"
branch_labels = None
depends_on = None

_KEY = ("organization_id", "width_seconds", "start_at", "project_id", "key_id", "snapshot", "endpoint")
_SUMMED = (
    "num_requests",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "audio_seconds",
    "training_tokens",
    "num_images",
    "charge_nano",
)


def upgrade() -> None:
    op.add_column("usage_records", sa.Column("user_id", sa.String(64), nullable=True))
    op.execute("UPDATE usage_records SET user_id = (SELECT user_id FROM keys WHERE keys.id = usage_records.key_id)")
    op.create_table(
        "usage_sums",
        sa.Column("organization_id", sa.String(64), primary_key=True),
        sa.Column("width_seconds", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("start_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("project_id", sa.String(64), primary_key=True),
        sa.Column("key_id", sa.String(64), primary_key=True),
        sa.Column("snapshot", sa.String(128), primary_key=True),
        sa.Column("endpoint", sa.String(128), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=True),
        *[sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMMED],
        sqlite_with_rowid=False,
    )
    for seconds in (60, 3_600, 86_400):
        _fill(seconds)


def _fill(seconds: int) -> None:
    """Add up the records that are there. No endpoint of the versions before this one made images."""
    # PostgreSQL rounds where SQLite cuts off.
    whole = (
        "CAST(floor(created_at) AS BIGINT)"
        if op.get_bind().dialect.name == "postgresql"
        else "CAST(created_at AS INTEGER)"
    )
    start = f"{whole} / {seconds} * {seconds}"
    op.execute(
        f"INSERT INTO usage_sums ({', '.join(_KEY)}, user_id, {', '.join(_SUMMED)})"  # noqa: S608 - names and numbers of ours
        f" SELECT organization_id, {seconds}, {start}, project_id, key_id, snapshot, endpoint, max(user_id), count(*),"
        " sum(input_tokens), sum(cached_tokens), sum(output_tokens), sum(audio_seconds), sum(training_tokens), 0,"
        f" sum(charge_nano) FROM usage_records GROUP BY organization_id, {start}, project_id, key_id, snapshot, endpoint"
    )


def downgrade() -> None:
    op.drop_table("usage_sums")
    op.drop_column("usage_records", "user_id")
