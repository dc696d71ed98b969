"""Runs the migration scripts on the connection that `parley.infra.schema` hands in; Alembic executes this file."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
