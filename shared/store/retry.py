"""Retrying a job: which runs are queued again, and what is forgotten. The caller holds the job's lock."""

from sqlalchemy import Connection, delete, func, select, update

from shared.domain.graph import downstream
from shared.domain.ids import RunId
from shared.domain.job import JobStatus, RunStatus, Stage
from shared.store.changes import soon
from shared.store.tables import artefacts, jobs, results, stage_runs
from shared.store.turns import line_up


def reset_runs(connection: Connection, job_id: str, from_stage: Stage | None) -> list[tuple[Stage, RunId]]:
    """Queue again what is not done and what was asked for; forget what came after it."""
    mine = stage_runs.c.job_id == job_id
    undone = set(
        connection.execute(select(stage_runs.c.stage).where(mine, stage_runs.c.status != RunStatus.DONE)).scalars()
    )
    first = {Stage(stage) for stage in undone} | ({from_stage} if from_stage else set())
    later = frozenset[Stage]().union(*(downstream(stage) for stage in first))
    again = first - later
    for table in (stage_runs, artefacts):
        connection.execute(delete(table).where(table.c.job_id == job_id, table.c.stage.in_(later)))
    connection.execute(delete(results).where(results.c.job_id == job_id))
    return _requeue(connection, job_id, again, whole=from_stage)


def _requeue(connection: Connection, job_id: str, again: set[Stage], whole: Stage | None) -> list[tuple[Stage, RunId]]:
    """`whole` is done again shard by shard; of the other stages only the shards that were not done."""
    chosen = (stage_runs.c.job_id == job_id, stage_runs.c.stage.in_(again))
    wanted = (stage_runs.c.status != RunStatus.DONE) | (stage_runs.c.stage == whole)
    afresh = {
        "status": RunStatus.QUEUED,
        "attempt": 0,
        "token": None,
        "message_id": None,
        "lease_until": None,
        "not_before": func.now(),
        "ready": False,  # until it has its turn
        "ring_at": soon(),
        "cache_key": None,
        "error": None,
        "done_s": 0,
        "work_s": None,
        "started_at": None,
        "finished_at": None,
    }
    reset = update(stage_runs).where(*chosen, wanted).values(afresh).returning(stage_runs)
    rows = connection.execute(reset).all()
    for row in rows:
        same = (artefacts.c.stage == row.stage, artefacts.c.shard == row.shard)
        connection.execute(delete(artefacts).where(artefacts.c.job_id == job_id, *same))
    if rows:
        line_up(connection, rows[0].owner_id, [RunId(row.id) for row in rows])
    return [(Stage(row.stage), RunId(row.id)) for row in rows]


def reopen_job(connection: Connection, job_id: str) -> None:
    """A retry is a new run of the same job, so its percent begins again."""
    afresh = {"status": JobStatus.QUEUED, "percent": 0, "error": None, "warnings": []}
    afresh |= {"started_at": None, "finished_at": None, "progress_pruned_at": None, "deduped_from": None}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(afresh))
