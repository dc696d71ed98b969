"""Runs the migration scripts on the connection that `parley.infra.schema` hands in; Alembic executes this file."""

from alembic import context

# Alembic takes SQLite's statements on tables for such that cannot be undone; as `parley.infra.sqlite` begins transactions,
# they can.
context.configure(
    connection=context.config.attributes["connection"], transaction_per_migration=True, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
