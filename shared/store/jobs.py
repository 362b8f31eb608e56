"""Jobs as their owners see them: create, read, list, cancel, retry, delete."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Select, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from shared.domain.errors import Conflict, InvalidInput, NotFound
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import Job, JobOptions, JobStatus, Priority, ProgressStatus, Source, SourceKind, Stage
from shared.domain.records import Created, Page
from shared.observe.metrics import REQUESTS
from shared.observe.traces import current_traceparent, new_traceparent
from shared.store.admission import Admission
from shared.store.changes import end_job, stop_runs
from shared.store.deletions import doom
from shared.store.limits_tables import provider_calls
from shared.store.progress import Notice, lock_job, post
from shared.store.retention import refuse_held, restart_from
from shared.store.retry import reopen_job, reset_runs
from shared.store.rows import AnyRow, job_of, to_json, uuid_or_missing
from shared.store.session import Database, on_commit
from shared.store.tables import jobs, stage_runs, uploads
from shared.store.turns import add_runs

MOST_A_PAGE = 200  # a row is about a kilobyte


@dataclass(frozen=True, slots=True)
class NewJob:
    """What the caller asked for."""

    source: Source
    options: JobOptions
    session_id: str | None
    webhook: str | None
    idempotency_key: str | None
    body_hash: str | None
    priority: Priority


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
            _check_source(connection, owner_id, source)
            job_id = _insert_job(connection, owner_id, new)
            if job_id is None:
                return Created(_job_of_key(connection, owner_id, new), fresh=False, runs=[])
            self.admission.job(connection, owner_id, priority)
            post(connection, job_id, Notice(ProgressStatus.QUEUED, None, always=True))
            runs = add_runs(connection, owner_id, [(job_id, Stage.DOWNLOAD, 0)])
            return Created(fetch_job(connection, owner_id, job_id), fresh=True, runs=runs)

    def get_job(self, owner_id: OwnerId, job_id: JobId) -> Job:
        with self.database.reading_as(owner_id) as connection:
            return fetch_job(connection, owner_id, job_id)

    def list_jobs(
        self, owner_id: OwnerId, *, limit: int = 50, cursor: str | None = None, status: JobStatus | None = None
    ) -> Page:
        """Newest first."""
        limit = max(1, min(limit, MOST_A_PAGE))
        query = _jobs().where(jobs.c.owner_id == owner_id).order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
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
            return begin_again(connection, fetch_job(connection, owner_id, job_id, lock=True), from_stage)

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


def _jobs() -> Select[Any]:
    tries = select(func.coalesce(func.max(stage_runs.c.attempt), 0)).where(stage_runs.c.job_id == jobs.c.id)
    paid = select(func.coalesce(func.sum(provider_calls.c.micro_usd), 0)).where(provider_calls.c.job_id == jobs.c.id)
    return select(jobs, tries.scalar_subquery().label("attempts"), paid.scalar_subquery().label("micro_usd"))


def fetch_job(connection: Connection, owner_id: OwnerId, job_id: str, *, lock: bool = False) -> Job:
    """NotFound for everybody but the owner."""
    wanted = uuid_or_missing(job_id, "job")
    if lock:
        lock_job(connection, wanted)
    row = connection.execute(_jobs().where(jobs.c.id == wanted, jobs.c.owner_id == owner_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {job_id!r}")
    return job_of(row)


def job_row(connection: Connection, job_id: str) -> AnyRow:
    """For the engine, which works for every owner."""
    return connection.execute(_jobs().where(jobs.c.id == job_id)).one()


def _insert_job(connection: Connection, owner_id: OwnerId, new: NewJob) -> JobId | None:
    """None: the idempotency key has been used."""
    job_id = str(uuid4())
    row = {
        "id": job_id,
        "owner_id": owner_id,
        "session_id": new.session_id or job_id,
        "source": to_json(new.source),
        "options": to_json(new.options),
        "webhook": new.webhook,
        "idempotency_key": new.idempotency_key,
        "body_hash": new.body_hash,
        "priority": new.priority.rank,
        "traceparent": current_traceparent() or new_traceparent(),
    }
    once = insert(jobs).values(row).on_conflict_do_nothing(index_elements=["owner_id", "idempotency_key"])
    inserted = connection.execute(once.returning(jobs.c.id)).scalar_one_or_none()
    if inserted:
        on_commit(connection, REQUESTS.labels("accepted").inc)
    return JobId(inserted) if inserted else None


def _job_of_key(connection: Connection, owner_id: OwnerId, new: NewJob) -> Job:
    mine = (jobs.c.owner_id == owner_id, jobs.c.idempotency_key == new.idempotency_key)
    row = connection.execute(_jobs().where(*mine)).one()
    if row.body_hash != new.body_hash:
        raise Conflict("This Idempotency-Key was used with another request; take a new key for a new request")
    return job_of(row)


def _check_source(connection: Connection, owner_id: OwnerId, source: Source) -> None:
    """Nobody starts a job on somebody else's bytes, or on an upload that has not arrived."""
    if source.kind is SourceKind.UPLOAD:
        query = select(uploads.c.completed).where(
            uploads.c.owner_id == owner_id, uploads.c.id == uuid_or_missing(source.value, "upload")
        )
        completed = connection.execute(query.with_for_update(read=True, key_share=True)).scalar_one_or_none()
        if completed is None:
            raise NotFound(f"There is no upload {source.value!r}")
        if not completed:
            raise Conflict(f"Upload {source.value} has not been completed yet")
    ours = source.kind is SourceKind.S3 and source.value.startswith(("jobs/", "uploads/"))
    if ours and not source.value.startswith(f"uploads/{owner_id}/"):
        raise NotFound("There is no such object")


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
