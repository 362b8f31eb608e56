"""Jobs as their owners see them: create, read, list, cancel, retry, delete."""

import base64
import binascii
import json
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, select, tuple_

from shared.domain.errors import Conflict, InvalidInput, VibeInsightError
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import Job, JobOptions, JobStatus, Priority, ProgressStatus, Source, SourceKind, Stage
from shared.domain.records import Created, Page
from shared.store.admission import Admission
from shared.store.changes import end_job, stop_runs
from shared.store.deletions import doom
from shared.store.progress import Notice, post
from shared.store.read_jobs import fetch_job, job_columns
from shared.store.retention import refuse_held, restart_from
from shared.store.retry import reopen_job, reset_runs
from shared.store.rows import job_of, to_json
from shared.store.session import Database
from shared.store.submit import NewJob, submit
from shared.store.tables import jobs, uploads

MOST_A_PAGE = 200  # a row is about a kilobyte


class Jobs:
    def __init__(self, database: Database, admission: Admission) -> None:
        self.database, self.admission = database, admission

    def create_job(  # noqa: PLR0913 - one argument a field of the request
        self,
        owner_id: OwnerId,
        *,
        source: Source,
        options: JobOptions,
        session_id: str | None = None,
        webhook: str | None = None,
        idempotency_key: str | None = None,
        body_hash: str | None = None,
        priority: Priority = Priority.INTERACTIVE,
    ) -> Created:
        """The job and its first run in one transaction. A key seen before gives the job of then."""
        new = NewJob(source, options, session_id, webhook, idempotency_key, body_hash, priority)
        with self.database.begin() as connection:
            outcome = submit(connection, self.admission, owner_id, [new])[0]
        if isinstance(outcome, VibeInsightError):
            raise outcome
        return outcome

    def get_job(self, owner_id: OwnerId, job_id: JobId) -> Job:
        with self.database.reading_as(owner_id) as connection:
            return fetch_job(connection, owner_id, job_id)

    def list_jobs(
        self, owner_id: OwnerId, *, limit: int = 50, cursor: str | None = None, status: JobStatus | None = None
    ) -> Page:
        """Newest first."""
        limit = max(1, min(limit, MOST_A_PAGE))
        query = job_columns().where(jobs.c.owner_id == owner_id).order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
        if status is not None:
            query = query.where(jobs.c.status == status)
        if cursor is not None:
            query = query.where(
                tuple_(jobs.c.created_at, jobs.c.id)
                < tuple_(*_read_cursor(cursor), types=[jobs.c.created_at.type, jobs.c.id.type])
            )
        with self.database.reading_as(owner_id) as connection:
            found = [job_of(row) for row in connection.execute(query.limit(limit + 1))]
        return Page(found[:limit], _write_cursor(found[limit - 1]) if len(found) > limit else None)

    def cancel(self, owner_id: OwnerId, job_id: JobId) -> Job:
        """At once in the ledger; whoever works on it learns so at the next heartbeat."""
        with self.database.begin() as connection:
            job = fetch_job(connection, owner_id, job_id, lock=True)
            if job.status is JobStatus.CANCELLED:
                return job
            if job.status.ended:
                raise Conflict(f"Job {job.id} has already ended as {job.status}")
            stop_runs(connection, job.id)
            end_job(connection, job.id, JobStatus.CANCELLED)
            post(connection, job.id, Notice(ProgressStatus.CANCELLED, job.stage, always=True))
            return fetch_job(connection, owner_id, job_id)

    def retry(self, owner_id: OwnerId, job_id: JobId, from_stage: Stage | None = None) -> Created:
        """Do again what was not done, and everything from `from_stage` on. What is done otherwise stays."""
        with self.database.begin() as connection:
            made = begin_again(connection, fetch_job(connection, owner_id, job_id, lock=True), from_stage)
            self.admission.again(connection, owner_id)
            return made

    def delete_job(self, owner_id: OwnerId, job_id: JobId) -> list[str]:
        """Deletes the rows; that the objects below the returned prefixes go too is decided with it."""
        with self.database.begin() as connection:
            job = fetch_job(connection, owner_id, job_id, lock=True)
            refuse_held(connection, job.id)
            connection.execute(delete(jobs).where(jobs.c.id == job.id))
            prefixes = [f"jobs/{job.id}/", *_drop_upload(connection, job)]
            doom(connection, prefixes, job_id=job.id)
            return prefixes


def begin_again(connection: Connection, job: Job, from_stage: Stage | None) -> Created:
    """The job's lock is held."""
    if not job.status.ended:
        raise Conflict(f"Job {job.id} is {job.status}; cancel it before a retry")
    runs = reset_runs(connection, job.id, restart_from(connection, job, from_stage))
    if not runs:
        raise Conflict(f"Job {job.id} has nothing to do again; name the stage to begin from")
    reopen_job(connection, job.id)
    post(connection, job.id, Notice(ProgressStatus.QUEUED, runs[0][0], always=True))
    return Created(fetch_job(connection, job.owner_id, job.id), fresh=False, runs=runs)


def _drop_upload(connection: Connection, job: Job) -> list[str]:
    """The recording goes with the last job that was made from it."""
    if job.source.kind is not SourceKind.UPLOAD:
        return []
    others = select(jobs.c.id).where(jobs.c.source == to_json(job.source)).limit(1)
    if connection.execute(others).first() is not None:
        return []
    connection.execute(delete(uploads).where(uploads.c.id == job.source.value))
    return [f"uploads/{job.owner_id}/{job.source.value}/"]


def _write_cursor(job: Job) -> str:
    return base64.urlsafe_b64encode(json.dumps([job.created_at.isoformat(), job.id]).encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        created_at, job_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return datetime.fromisoformat(created_at), str(UUID(job_id))
    except (binascii.Error, ValueError, TypeError, AttributeError) as error:
        raise InvalidInput("This cursor was not made by us; begin without one") from error
