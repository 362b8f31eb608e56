"""Changes to a job and its runs that several parts make. The caller holds the job's lock."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, func, update

from shared.domain.job import JobStatus, RunStatus
from shared.observe.metrics import REQUESTS
from shared.store.outbox import announce
from shared.store.session import on_commit
from shared.store.tables import jobs, stage_runs

OPEN_RUNS = (RunStatus.QUEUED, RunStatus.RUNNING)
CREATOR_RINGS_WITHIN_S = 2.0  # a publish takes milliseconds; a creator that died in between costs this much


def seconds(value: float) -> ColumnElement[Any]:
    return func.make_interval(0, 0, 0, 0, 0, 0, value)


def soon() -> ColumnElement[Any]:
    """When the steward rings a run that its creator should have rung."""
    return func.now() + seconds(CREATOR_RINGS_WITHIN_S)


def stop_runs(connection: Connection, job_id: str) -> None:
    """Nobody may finish what is still open."""
    still_open = (stage_runs.c.job_id == job_id, stage_runs.c.status.in_(OPEN_RUNS))
    stopped = {"status": RunStatus.CANCELLED, "lease_until": None, "finished_at": func.now()}
    connection.execute(update(stage_runs).where(*still_open).values(stopped))


def end_job(connection: Connection, job_id: str, status: JobStatus, **columns: object) -> None:
    ended = {"status": status, "eta_s": None, "finished_at": func.now(), **columns}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(ended))
    announce(connection, job_id)
    on_commit(connection, REQUESTS.labels(status.value).inc)
