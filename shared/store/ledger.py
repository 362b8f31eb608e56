"""The ledger as the API and the command line use it. Workers claim and finish runs through shared/store/runs.py."""

from sqlalchemy import text

from shared.settings import Settings
from shared.store.admission import Admission
from shared.store.audit import Audit
from shared.store.batches import Batches
from shared.store.corrections import Corrections
from shared.store.documents import Documents
from shared.store.erasures import Erasures
from shared.store.glossary import Glossary
from shared.store.jobs import Jobs
from shared.store.keys import Keys
from shared.store.preferences import Preferences
from shared.store.progress import Progress
from shared.store.queues import Queues
from shared.store.retention import Keeping
from shared.store.session import Database, open_engine
from shared.store.uploads import Uploads
from shared.store.voices import Voices
from shared.store.webhooks import Webhooks


class Ledger(
    Jobs,
    Batches,
    Uploads,
    Keys,
    Documents,
    Progress,
    Preferences,
    Queues,
    Audit,
    Corrections,
    Glossary,
    Voices,
    Webhooks,
    Keeping,
    Erasures,
):
    """Every question and every change that an owner may make, each in one transaction."""

    def __init__(self, database: Database, admission: Admission) -> None:
        self.database, self.admission = database, admission

    @classmethod
    def connect(cls, settings: Settings) -> "Ledger":
        """Connects on first use."""
        return cls(Database(open_engine(settings)), Admission(settings))

    def ping(self) -> None:
        """Raises StorageUnavailable when the database does not answer."""
        with self.database.begin() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        self.database.engine.dispose()
