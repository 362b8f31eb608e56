"""Reading a job: the one query for it, and who may ask."""

from typing import Any

from sqlalchemy import Connection, Select, func, select

from shared.domain.errors import NotFound
from shared.domain.ids import OwnerId
from shared.domain.job import Job
from shared.store.limits_tables import provider_calls
from shared.store.progress import lock_job
from shared.store.rows import job_of, uuid_or_missing
from shared.store.tables import jobs, stage_runs


def job_columns() -> Select[Any]:
    """All that `job_of` reads."""
    tries = select(func.coalesce(func.max(stage_runs.c.attempt), 0)).where(stage_runs.c.job_id == jobs.c.id)
    paid = select(func.coalesce(func.sum(provider_calls.c.micro_usd), 0)).where(provider_calls.c.job_id == jobs.c.id)
    return select(jobs, tries.scalar_subquery().label("attempts"), paid.scalar_subquery().label("micro_usd"))


def fetch_job(connection: Connection, owner_id: OwnerId, job_id: str, *, lock: bool = False) -> Job:
    """NotFound for everybody but the owner."""
    wanted = uuid_or_missing(job_id, "job")
    if lock:
        lock_job(connection, wanted)
    row = connection.execute(job_columns().where(jobs.c.id == wanted, jobs.c.owner_id == owner_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {job_id!r}")
    return job_of(row)
