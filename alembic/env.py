"""Runs the migrations over one connection; the address is the settings' own. Alembic alone owns the schema."""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from shared.settings import Settings, load_settings
from shared.store.schema import metadata
from shared.store.session import database_url

LOCK_WAIT = "15s"  # rather fail the deploy than queue behind a long transaction and block everybody after us


def migrate() -> None:
    settings: Settings = context.config.attributes.get("settings") or load_settings()
    engine = create_engine(database_url(settings), poolclass=NullPool, connect_args={"prepare_threshold": None})
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata)
        with context.begin_transaction():
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
            context.run_migrations()


migrate()
