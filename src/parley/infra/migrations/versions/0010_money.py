"""The ledger, what is held, grants, budgets and prices; what a request cost; replies kept for a repeated request."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0005"
branch_labels = None
depends_on = None

_USAGE_COLUMNS = ("charge_nano", "audio_seconds", "training_tokens")


def upgrade() -> None:
    for name in _USAGE_COLUMNS:
        op.add_column("usage_records", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("usage_records", sa.Column("images", sa.JSON, nullable=False, server_default="[]"))
    _ledger()
    _balances()
    op.create_table(
        "price_versions",
        sa.Column("version", sa.String(128), primary_key=True),
        sa.Column("price", sa.JSON, nullable=False),
        sa.Column("first_seen_at", sa.Double, nullable=False),
    )
    op.create_table(
        "organization_prices",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("organization_id", sa.String(64), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        # None: from then on the price of everybody.
        sa.Column("version", sa.String(128), nullable=True),
        sa.Column("since", sa.Double, nullable=False),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("project_id", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(256), primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("finished_at", sa.Double, nullable=False, index=True),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        # None where the reply is not kept; it was then streamed, or is too large.
        sa.Column("body", sa.LargeBinary, nullable=True),
    )


def _ledger() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(128), nullable=False, unique=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("debit", sa.String(96), nullable=False),
        sa.Column("credit", sa.String(96), nullable=False),
        sa.Column("amount_nano", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
    )
    op.create_table(
        "ledger_checkpoints",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
    )


def _balances() -> None:
    op.create_table(
        "grants",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("organization_id", sa.String(64), nullable=False, index=True),
        sa.Column("amount_nano", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "budgets",
        sa.Column("scope", sa.String(64), primary_key=True),
        sa.Column("limit_nano", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "monthly_spend",
        sa.Column("scope", sa.String(64), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("spent_nano", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "frozen_accounts",
        sa.Column("organization_id", sa.String(64), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
    )
    op.create_table(
        "holds",
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("amount_nano", sa.BigInteger, nullable=False),
        # The request's usage record as far as it has come, and its price.
        sa.Column("state", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    for name in (
        "holds",
        "frozen_accounts",
        "monthly_spend",
        "budgets",
        "grants",
        "ledger_checkpoints",
        "ledger_entries",
        "idempotency_keys",
        "organization_prices",
        "price_versions",
    ):
        op.drop_table(name)
    for name in (*_USAGE_COLUMNS, "images"):
        op.drop_column("usage_records", name)
