"""What the owners' policies let go: found in small batches, each job locked, checked again and marked."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, Text, cast, delete, exists, func, select, update

from shared.domain.job import JobStatus, SourceKind
from shared.store.changes import seconds
from shared.store.deletions import doom
from shared.store.keeping_tables import retention_policies as policies
from shared.store.keeping_tables import webhook_deliveries
from shared.store.progress import lock_job
from shared.store.retention import DEFAULT, days_of, drop_audio, drop_upload, not_held
from shared.store.rows import AnyRow
from shared.store.session import Database
from shared.store.tables import job_progress, jobs, uploads

BATCH = 100  # jobs looked at together; each is changed in a transaction of its own
PROGRESS_KEPT = timedelta(days=7)  # whoever reads a job's events after a week wants to know how it ended, no more
PROGRESS_ROWS = 5_000  # deleted by one statement: some tens of milliseconds
LOG_KEPT = timedelta(days=30)  # of webhook deliveries, and how long a paused endpoint's are held
UNFINISHED_KEPT = timedelta(days=1)  # an upload's addresses are valid for five hours at most
UNUSED_KEPT = timedelta(days=7)  # an upload that no job was made from

_DAY_S = 86_400.0


class Expiry:
    def __init__(self, database: Database) -> None:
        self.database = database

    def results(self) -> int:
        """Jobs whose results have had their time go as if they were deleted by hand."""
        due = (*_ended_for(policies.c.results_days, DEFAULT.results_days),)
        return self._each(due, _drop_job)

    def source(self) -> int:
        due = (*_ended_for(policies.c.source_days, DEFAULT.source_days), jobs.c.source_deleted_at.is_(None))
        return self._each(due, lambda connection, job: drop_audio(connection, job, source=True, derived=False))

    def derived(self) -> int:
        due = (*_ended_for(policies.c.derived_days, DEFAULT.derived_days), jobs.c.derived_deleted_at.is_(None))
        return self._each(due, lambda connection, job: drop_audio(connection, job, source=False, derived=True))

    def progress(self) -> int:
        """Of jobs that ended a while ago all rows but the last. Returns how many rows went."""
        old = (jobs.c.finished_at < func.now() - PROGRESS_KEPT, jobs.c.progress_pruned_at.is_(None))
        query = select(jobs.c.id).where(*old).order_by(jobs.c.finished_at).limit(BATCH)
        with self.database.begin() as connection:
            found = list(connection.execute(query.with_for_update(skip_locked=True)).scalars())
            if not found:
                return 0
            chosen = select(job_progress.c.job_id, job_progress.c.version).join(
                jobs, job_progress.c.job_id == jobs.c.id
            )
            earlier = (jobs.c.id.in_(found), job_progress.c.version < jobs.c.progress_version)
            some = chosen.where(*earlier).limit(PROGRESS_ROWS).subquery()
            same = (job_progress.c.job_id == some.c.job_id, job_progress.c.version == some.c.version)
            gone = connection.execute(delete(job_progress).where(*same)).rowcount
            if gone < PROGRESS_ROWS:
                done = update(jobs).where(jobs.c.id.in_(found)).values(progress_pruned_at=func.now())
                connection.execute(done)
        return gone

    def deliveries(self) -> int:
        """The log of webhooks, and what was held for an endpoint that nobody resumed."""
        old = webhook_deliveries.c.created_at < func.now() - LOG_KEPT
        ended = (webhook_deliveries.c.finished_at.is_not(None) | (webhook_deliveries.c.status == "held"), old)
        chosen = select(webhook_deliveries.c.id).where(*ended).limit(PROGRESS_ROWS)
        with self.database.begin() as connection:
            gone = delete(webhook_deliveries).where(webhook_deliveries.c.id.in_(chosen))
            return connection.execute(gone).rowcount

    def uploads(self) -> int:
        """Uploads that were never finished, and those that nobody made a job from."""
        of_job = (jobs.c.source["kind"].astext != SourceKind.URL,)
        used = exists().where(*of_job, jobs.c.source["value"].astext == cast(uploads.c.id, Text))
        by_key = exists().where(*of_job, jobs.c.source["value"].astext == uploads.c.key)
        age = func.now() - uploads.c.created_at
        idle = (~uploads.c.completed & (age > UNFINISHED_KEPT)) | (uploads.c.completed & (age > UNUSED_KEPT))
        held = exists().where(policies.c.owner_id == uploads.c.owner_id, policies.c.held_at.is_not(None))
        chosen = select(uploads.c.id).where(idle, ~held, ~used, ~by_key).limit(BATCH).with_for_update(skip_locked=True)
        with self.database.begin() as connection:
            gone = delete(uploads).where(uploads.c.id.in_(chosen)).returning(uploads.c.owner_id, uploads.c.id)
            prefixes = [f"uploads/{row.owner_id}/{row.id}/" for row in connection.execute(gone)]
            doom(connection, prefixes)
        return len(prefixes)

    def _each(self, due: tuple[ColumnElement[bool], ...], drop: Callable[[Connection, AnyRow], None]) -> int:
        """Each in a transaction of its own: one that somebody is working on is left to the next go."""
        joined = jobs.outerjoin(policies, policies.c.owner_id == jobs.c.owner_id)
        query = select(jobs.c.id).select_from(joined).where(*due).order_by(jobs.c.finished_at).limit(BATCH)
        with self.database.begin() as connection:
            found = list(connection.execute(query).scalars())
        return sum(self._one(job_id, due, drop) for job_id in found)

    def _one(
        self, job_id: str, due: tuple[ColumnElement[bool], ...], drop: Callable[[Connection, AnyRow], None]
    ) -> bool:
        joined = jobs.outerjoin(policies, policies.c.owner_id == jobs.c.owner_id)
        with self.database.begin() as connection:
            if lock_job(connection, job_id, wait=False) is None:
                return False
            still = select(jobs).select_from(joined).where(jobs.c.id == job_id, *due)
            job = connection.execute(still).one_or_none()  # a hold or a retry may have come in between
            if job is None:
                return False
            drop(connection, job)
        return True


def _ended_for(column: ColumnElement[int], default: int | None) -> tuple[ColumnElement[bool], ...]:
    """Ended so many days ago; never where the days are null, and never under a hold."""
    kept = seconds(_DAY_S) * days_of(column, default)
    ended = jobs.c.status.in_([status for status in JobStatus if status.ended])
    return ended, jobs.c.finished_at < func.now() - kept, not_held()


def _drop_job(connection: Connection, job: AnyRow) -> None:
    prefixes = [f"jobs/{job.id}/", *drop_upload(connection, job)]
    connection.execute(delete(jobs).where(jobs.c.id == job.id))
    doom(connection, prefixes, job_id=job.id)
