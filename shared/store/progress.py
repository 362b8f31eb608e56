"""Progress rows: append-only, `version` grows by one, `percent` never falls, at most one a second a job."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, insert, literal, or_, select, update

from shared.domain.ids import JobId, OwnerId
from shared.domain.job import JobOptions, JobStatus, ProgressStatus, Stage
from shared.domain.messages import language_of, message
from shared.domain.progress import ProgressRow
from shared.store.changes import seconds
from shared.store.rows import AnyRow, from_json, progress_of, uuid_or_missing
from shared.store.session import Database
from shared.store.tables import job_progress, jobs

LEAST_PAUSE_S = 1.0  # every row goes to every subscriber; the beginning and the end of a job are always told


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be said of a job now. `percent` None: as before."""

    status: ProgressStatus
    stage: Stage | None
    percent: float | None = None
    eta_s: float | None = None
    always: bool = False
    working: bool = False  # a job that waited is under way now


def with_age() -> tuple[Any, ...]:
    """A job's columns, and for how long it has been at work."""
    return *jobs.c, func.extract("epoch", func.now() - jobs.c.started_at).label("elapsed_s")


def lock_job(connection: Connection, job_id: str, *, wait: bool = True) -> AnyRow | None:
    """The job's row, ours until the transaction ends: the one lock that everything about a job takes first."""
    lock = select(*with_age()).where(jobs.c.id == job_id).with_for_update(skip_locked=not wait)
    return connection.execute(lock).one_or_none()


def post(connection: Connection, job_id: str, notice: Notice) -> None:
    """Tell what there is to tell, unless it is too soon after the last row. The caller holds the job's lock."""
    now = func.statement_timestamp()
    told = literal(True) if notice.always else _due()
    shown = {
        "stage": notice.stage,
        "percent": jobs.c.percent
        if notice.percent is None
        else func.greatest(jobs.c.percent, round(notice.percent, 1)),
        "eta_s": notice.eta_s,
        "updated_at": now,
        "progress_version": jobs.c.progress_version + case((told, 1), else_=0),
        "progress_at": case((told, now), else_=jobs.c.progress_at),
    }
    if notice.working:
        shown["status"] = case((jobs.c.status == JobStatus.QUEUED, JobStatus.RUNNING.value), else_=jobs.c.status)
        shown["started_at"] = func.coalesce(jobs.c.started_at, func.now())
    row = connection.execute(update(jobs).where(jobs.c.id == job_id).values(shown).returning(jobs)).one()
    if row.progress_at == row.updated_at:
        connection.execute(insert(job_progress).values(_row(row, notice)))


def _due() -> ColumnElement[bool]:
    pause = seconds(LEAST_PAUSE_S)
    return or_(jobs.c.progress_at.is_(None), jobs.c.progress_at <= func.statement_timestamp() - pause)


def _row(job: AnyRow, notice: Notice) -> dict[str, object]:
    key = notice.status.value
    return {
        "job_id": job.id,
        "version": job.progress_version,
        "session_id": job.session_id,
        "owner_id": job.owner_id,
        "status": key,
        "stage": notice.stage,
        "percent": job.percent,
        "eta_s": notice.eta_s,
        "message_key": key,
        "message": message(key, language_of(from_json(JobOptions, job.options))),
        "updated_at": job.updated_at,
    }


class Progress:
    """Reading the rows."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def progress_since(self, owner_id: OwnerId, job_id: JobId, version: int) -> list[ProgressRow]:
        """Rows with a greater version, in order."""
        mine = (job_progress.c.owner_id == owner_id, job_progress.c.job_id == uuid_or_missing(job_id, "job"))
        query = select(job_progress).where(*mine, job_progress.c.version > version).order_by(job_progress.c.version)
        with self.database.reading_as(owner_id) as connection:
            return [progress_of(row) for row in connection.execute(query)]
