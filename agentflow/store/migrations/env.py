"""Alembic's entry: runs migrations on the connection the store gives it."""

from alembic import context

from agentflow.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    version_table="agentflow_schema",
    transactional_ddl=True,
)
context.run_migrations()
