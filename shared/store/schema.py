"""Every table there is. Alembic and the test that compares it with the models read the schema here."""

import shared.store.access_tables  # noqa: F401 - adds its tables to `metadata`
from shared.store.tables import metadata

__all__ = ["metadata"]
