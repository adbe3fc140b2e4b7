"""How a migration runs: in one transaction and alone, on SQLite as on PostgreSQL.

A second run that starts meanwhile waits for the lock and then finds nothing left to do.
"""

from alembic import context
from flask import current_app
from sqlalchemy import Connection

LOCK = 7_264_019_001


def take_lock(connection: Connection) -> None:
    """Wait until no other migration runs; the lock goes with the transaction."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    elif connection.dialect.name == "sqlite":
        # Python's driver commits before DDL. Told to leave transactions alone, it keeps this one whole.
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.isolation_level = None
        connection.exec_driver_sql("PRAGMA busy_timeout = 60000")
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def run() -> None:
    """Bring the database of the current app to the revision asked for.

    Where the caller gives a connection, everything happens in its transaction, and the lock is the caller's.
    """
    extension = current_app.extensions["migrate"]
    given = context.config.attributes.get("connection")
    if given is not None:
        context.configure(
            connection=given, target_metadata=extension.db.metadatas[None], transactional_ddl=True,
            **extension.configure_args,
        )  # fmt: skip
        context.run_migrations()
        return
    engine = extension.db.engine
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=extension.db.metadatas[None],
            transactional_ddl=True,
            **extension.configure_args,
        )
        with context.begin_transaction():
            take_lock(connection)
            context.run_migrations()
        # Its driver settings were changed for the migration: it is not to be used again.
        connection.invalidate()


if context.is_offline_mode():
    raise SystemExit("migrations need the database: --sql is not supported")
run()
