"""What finished runs left behind: artefacts, and the result of a job."""

from typing import Any

from sqlalchemy import select

from shared.domain.errors import Conflict
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import Artefact, Job, JobStatus, Stage
from shared.store.jobs import fetch_job
from shared.store.rows import artefact_of
from shared.store.session import Database
from shared.store.tables import artefacts, results

_STAGE_ORDER = {stage.value: place for place, stage in enumerate(Stage)}


class Documents:
    def __init__(self, database: Database) -> None:
        self.database = database

    def result(self, owner_id: OwnerId, job_id: JobId) -> dict[str, Any]:
        """The result document. Conflict while the job runs, or with the job's own error when it failed."""
        with self.database.begin() as connection:
            job = fetch_job(connection, owner_id, job_id)
            if not job.status.succeeded:
                raise no_result(job)
            document: dict[str, Any] = connection.execute(
                select(results.c.document).where(results.c.job_id == job.id)
            ).scalar_one()
            return document

    def artefacts(self, owner_id: OwnerId, job_id: JobId) -> list[Artefact]:
        """In the order of the stages, then of the shards."""
        with self.database.begin() as connection:
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
