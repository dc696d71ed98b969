"""The tables of money, as the migrations make them."""

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, String, Table, Text

METADATA = MetaData()

entries = Table(
    "ledger_entries",
    METADATA,
    # Counted by us from 1 without a gap: one that is missing was taken out.
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(128), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("debit", String(96), nullable=False),
    Column("credit", String(96), nullable=False),
    Column("amount_nano", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    # All that a balance is made of.
    Index("ix_ledger_entries_sums", "debit", "credit", "amount_nano"),
)
checkpoints = Table(
    "ledger_checkpoints",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)
grants = Table(
    "grants",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("organization_id", String(64), nullable=False, index=True),
    Column("amount_nano", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("created_at", Double, nullable=False),
)
budgets = Table(
    "budgets",
    METADATA,
    # The id of an organization or a project; a key's budget is kept with the key.
    Column("scope", String(64), primary_key=True),
    Column("limit_nano", BigInteger, nullable=False),
)
monthly_spend = Table(
    "monthly_spend",
    METADATA,
    Column("scope", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("spent_nano", BigInteger, nullable=False),
)
frozen_accounts = Table(
    "frozen_accounts",
    METADATA,
    Column("organization_id", String(64), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", Double, nullable=False),
)
holds = Table(
    "holds",
    METADATA,
    Column("request_id", String(64), primary_key=True),
    Column("amount_nano", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),
)
price_versions = Table(
    "price_versions",
    METADATA,
    Column("version", String(128), primary_key=True),
    Column("price", JSON, nullable=False),
    Column("first_seen_at", Double, nullable=False),
)
organization_prices = Table(
    "organization_prices",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("organization_id", String(64), nullable=False),
    Column("model", String(128), nullable=False),
    Column("version", String(128), nullable=True),
    Column("since", Double, nullable=False),
)
