"""The ledger as the API and the command line use it. Workers claim and finish runs through shared/store/runs.py."""

from sqlalchemy import text

from shared.settings import Settings
from shared.store.audit import Audit
from shared.store.documents import Documents
from shared.store.jobs import Jobs
from shared.store.keys import Keys
from shared.store.progress import Progress
from shared.store.session import Database, open_engine
from shared.store.uploads import Uploads


class Ledger(Jobs, Uploads, Keys, Documents, Progress, Audit):
    """Every question and every change that an owner may make, each in one transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def connect(cls, settings: Settings) -> "Ledger":
        """Connects on first use."""
        return cls(Database(open_engine(settings)))

    def ping(self) -> None:
        """Raises StorageUnavailable when the database does not answer."""
        with self.database.begin() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        self.database.engine.dispose()
