"""Every table there is. Alembic and the test that compares it with the models read the schema here."""

import shared.store.access_tables
import shared.store.analysis_tables
import shared.store.keeping_tables
import shared.store.limits_tables
import shared.store.queue_tables  # noqa: F401
from shared.store.tables import metadata

__all__ = ["metadata"]
