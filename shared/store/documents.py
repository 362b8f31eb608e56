"""What finished runs left behind: artefacts, and the result of a job."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from shared.domain.errors import Conflict
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import Artefact, Job, JobStatus, JobWarning, RunStatus, Stage
from shared.store.preferences import allows_dedupe
from shared.store.read_jobs import fetch_job
from shared.store.rows import artefact_of, warnings_of
from shared.store.session import Database
from shared.store.tables import artefacts, results, stage_runs

_STAGE_ORDER = {stage.value: place for place, stage in enumerate(Stage)}


class Documents:
    def __init__(self, database: Database) -> None:
        self.database = database

    def result(self, owner_id: OwnerId, job_id: JobId) -> dict[str, Any]:
        """The result document. Conflict while the job runs, or with the job's own error when it failed."""
        with self.database.reading_as(owner_id) as connection:
            job = fetch_job(connection, owner_id, job_id)
            if not job.status.succeeded:
                raise no_result(job)
            document: dict[str, Any] = connection.execute(
                select(results.c.document).where(results.c.job_id == job.id)
            ).scalar_one()
            return document

    def artefacts(self, owner_id: OwnerId, job_id: JobId) -> list[Artefact]:
        """In the order of the stages, then of the shards."""
        with self.database.reading_as(owner_id) as connection:
            job = fetch_job(connection, owner_id, job_id)
            rows = connection.execute(select(artefacts).where(artefacts.c.job_id == job.id)).all()
        return [artefact_of(row) for row in sorted(rows, key=lambda row: (_STAGE_ORDER[row.stage], row.shard))]


def no_result(job: Job) -> Conflict:
    if job.error is not None:
        return _conflict(job.error.code, job.error.message)
    if job.status is JobStatus.CANCELLED:
        return _conflict("job_cancelled", f"Job {job.id} was cancelled; retry it to get a result")
    return _conflict("result_not_ready", f"Job {job.id} is {job.status}; its result is not ready yet")


def _conflict(code: str, message: str) -> Conflict:
    error = Conflict(message)
    error.code = code
    return error


@dataclass(frozen=True, slots=True)
class Cached:
    """What a run of another job left."""

    artefact: Artefact
    warnings: tuple[JobWarning, ...]
    job_id: JobId


class StageDocuments:
    """The same for a worker, which works for every owner and names rows by job."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def of_stage(self, job_id: JobId, stage: Stage) -> list[Artefact]:
        """One artefact a shard, in order; empty when the stage was skipped or failed."""
        query = select(artefacts).where(artefacts.c.job_id == job_id, artefacts.c.stage == stage)
        with self.database.once() as connection:
            return [artefact_of(row) for row in connection.execute(query.order_by(artefacts.c.shard))]

    def cached(self, owner_id: OwnerId, stage: Stage, cache_key: str) -> Cached | None:
        """What this owner has had made of the same input with the same parameters, the newest; None if they object."""
        same = (artefacts.c.owner_id == owner_id, artefacts.c.cache_key == cache_key, artefacts.c.stage == stage)
        whole = artefacts.c.files_deleted_at.is_(None)
        query = (
            select(artefacts)
            .where(*same, whole, allows_dedupe(owner_id))
            .order_by(artefacts.c.created_at.desc())
            .limit(1)
        )
        with self.database.begin() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Cached(artefact_of(row), warnings_of(row.warnings), JobId(row.job_id))

    def worked_s(self, job_id: JobId) -> dict[Stage, float]:
        """Seconds worked so far, over all shards; what came from the cache counts for nothing."""
        total = func.coalesce(func.sum(stage_runs.c.work_s), 0.0)
        done = (stage_runs.c.job_id == job_id, stage_runs.c.status == RunStatus.DONE)
        query = select(stage_runs.c.stage, total).where(*done).group_by(stage_runs.c.stage)
        with self.database.begin() as connection:
            return {Stage(stage): float(seconds) for stage, seconds in connection.execute(query)}
