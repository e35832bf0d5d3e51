"""Alembic's environment: it runs migrations on the given connection, in its transaction."""

from alembic import context

from service.registry.migrations.schema import VERSION_TABLE, schema

__all__: list[str] = []

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
