"""Every table there is. Alembic and the test that compares it with the models read the schema here."""

from shared.store.tables import metadata

__all__ = ["metadata"]
