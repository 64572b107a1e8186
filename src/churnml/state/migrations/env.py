"""Run by Alembic, inside a transaction of `state.database.migrated`."""

from alembic import context

from churnml.state.tables import METADATA

VERSION_TABLE = context.config.attributes["version_table"]  # MLflow, too, may have its own in this database

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=False,  # the transaction is there already
)
context.run_migrations()
