"""An index that holds all that a balance is made of, so that every balance is summed up without reading the ledger's rows."""

from alembic import op

revision = "0020"
down_revision = "0010"
branch_labels = None
depends_on = None

_NAME = "ix_ledger_entries_sums"


def upgrade() -> None:
    op.create_index(_NAME, "ledger_entries", ["debit", "credit", "amount_nano"])


def downgrade() -> None:
    op.drop_index(_NAME, "ledger_entries")
