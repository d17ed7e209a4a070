"""Alembic's entry: run the steps on the engine that `migrate` was given."""

from alembic import context

from tweeter.store.engine import writing
from tweeter.store.schema import metadata

with writing(context.config.attributes["engine"]) as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    context.run_migrations()
