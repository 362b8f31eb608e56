"""Which of the objects in a listing nobody can ever ask for again."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from shared.domain.job import JobStatus, SourceKind
from shared.ports.store import Listed
from shared.store.keeping_tables import retention_policies as policies
from shared.store.retention import not_held
from shared.store.session import Database
from shared.store.tables import artefacts, jobs, uploads

GRACE = timedelta(days=1)  # an object is written before the row that names it; no work takes a day


class Orphans:
    def __init__(self, database: Database) -> None:
        self.database = database

    def among(self, page: Collection[Listed], now: datetime) -> list[str]:
        """Keys of `jobs/<job>/…` and `uploads/<owner>/<upload>/…` without a row, and older than the grace."""
        old = [found.key for found in page if found.modified_at < now - GRACE]
        of_jobs = {key: job for key in old if (job := _id(key, "jobs", 1))}
        of_uploads = {key: upload for key in old if (upload := _id(key, "uploads", 2))}
        return sorted([*self._of_jobs(of_jobs, now), *self._of_uploads(of_uploads)])

    def _of_jobs(self, keys: dict[str, str], now: datetime) -> Iterable[str]:
        """The whole job is gone; or it ended long ago and none of its documents names this file."""
        ids = set(keys.values())
        with self.database.begin() as connection:
            columns = (jobs.c.id, jobs.c.status, jobs.c.finished_at, not_held().label("free"))
            joined = jobs.outerjoin(policies, policies.c.owner_id == jobs.c.owner_id)
            query = select(*columns).select_from(joined).where(jobs.c.id.in_(ids))
            there = {row.id: row for row in connection.execute(query)}
            files = connection.execute(select(artefacts.c.files).where(artefacts.c.job_id.in_(ids))).scalars()
            named = {str(file["key"]) for some in files for file in some}
        for key, job_id in keys.items():
            job = there.get(job_id)
            settled = job is None or (job.free and JobStatus(job.status).ended and job.finished_at < now - GRACE)
            if settled and (job is None or key not in named):
                yield key

    def _of_uploads(self, keys: dict[str, str]) -> Iterable[str]:
        ids = set(keys.values())
        by_key = (jobs.c.source["kind"].astext != SourceKind.URL, jobs.c.source["value"].astext.in_(list(keys)))
        with self.database.begin() as connection:
            there = set(connection.execute(select(uploads.c.id).where(uploads.c.id.in_(ids))).scalars())
            used = set(connection.execute(select(jobs.c.source["value"].astext).where(*by_key)).scalars())
        return [key for key, upload_id in keys.items() if upload_id not in there and key not in used]


def _id(key: str, folder: str, place: int) -> str | None:
    """The id at that step of a key; None for what is no key of ours."""
    steps = key.split("/")
    if steps[0] != folder or len(steps) <= place + 1:
        return None
    try:
        return str(UUID(steps[place]))
    except ValueError:
        return None
