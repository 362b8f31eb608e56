"""What the operator's commands ask of the ledger, over all owners: jobs, buried runs, and what is to be rung again."""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, update

from shared.domain.errors import Conflict, NotFound
from shared.domain.ids import OwnerId, RunId
from shared.domain.job import JobError, JobStatus, RunStatus, Stage
from shared.domain.operation import BuriedRun, Filter, JobLine, Requeued
from shared.store.backlog import BURIED, claimable
from shared.store.changes import OPEN_RUNS, seconds
from shared.store.rows import AnyRow, from_json, uuid_or_missing
from shared.store.session import Database
from shared.store.tables import jobs, owners, stage_runs
from shared.store.turns import not_before_others


class Operator:
    def __init__(self, database: Database) -> None:
        self.database = database

    def jobs(self, wanted: Filter) -> list[JobLine]:
        """Who waits longest comes first, then the newest."""
        waiting_s = (
            select(func.extract("epoch", func.now() - func.min(stage_runs.c.not_before)))
            .where(stage_runs.c.job_id == jobs.c.id, *claimable())
            .scalar_subquery()
            .label("waiting_s")
        )
        attempts = select(func.coalesce(func.max(stage_runs.c.attempt), 0)).where(stage_runs.c.job_id == jobs.c.id)
        query = select(jobs, owners.c.name.label("owner"), waiting_s, attempts.scalar_subquery().label("attempts"))
        order = (waiting_s.desc().nulls_last(), jobs.c.created_at.desc())
        found = _of_jobs(query.join(owners, owners.c.id == jobs.c.owner_id), wanted).order_by(*order)
        with self.database.begin() as connection:
            return [_job_line(row) for row in connection.execute(found.limit(wanted.limit))]

    def buried(self, wanted: Filter) -> list[BuriedRun]:
        """The newest first."""
        columns = (stage_runs, jobs.c.owner_id.label("job_owner"), owners.c.name.label("owner"))
        query = select(*columns, jobs.c.status.label("job_status")).join(jobs, jobs.c.id == stage_runs.c.job_id)
        named = query.join(owners, owners.c.id == jobs.c.owner_id)
        statuses = wanted.statuses or [status.value for status in BURIED]
        found = named.where(stage_runs.c.status.in_(statuses), *_of_run(wanted), *_of_owner(wanted))
        if wanted.older_than_s is not None:
            found = found.where(stage_runs.c.finished_at < func.now() - seconds(wanted.older_than_s))
        with self.database.begin() as connection:
            rows = connection.execute(found.order_by(stage_runs.c.finished_at.desc()).limit(wanted.limit))
            return [_buried_run(row) for row in rows]

    def owner_id(self, given: str) -> OwnerId:
        """By id or by name; names are not unique, and then the id is asked for."""
        query = select(owners.c.id).where(*_of_owner(Filter(owner=given))).limit(2)
        with self.database.begin() as connection:
            found = connection.execute(query).scalars().all()
        if not found:
            raise NotFound(f"There is no owner {given!r}")
        if len(found) > 1:
            raise Conflict(f"Several owners are called {given!r}; name one by its id")
        return OwnerId(found[0])

    def requeue(self, wanted: Filter, *, now: bool) -> Requeued:
        """What may be claimed is to be rung again; with `now` also what waits for its next attempt."""
        chosen = select(stage_runs.c.id).join(jobs, jobs.c.id == stage_runs.c.job_id)
        chosen = chosen.join(owners, owners.c.id == jobs.c.owner_id)
        mine = (*_of_run(wanted), *_of_owner(wanted))
        later = chosen.where(stage_runs.c.status == RunStatus.QUEUED, stage_runs.c.not_before > func.now(), *mine)
        with self.database.begin() as connection:
            woken = 0
            if now:
                due = {"not_before": func.now(), "ring_at": func.now(), "ready": True} | not_before_others()
                woken = connection.execute(update(stage_runs).where(stage_runs.c.id.in_(later)).values(due)).rowcount
            again = select(stage_runs.c.stage, stage_runs.c.id).join(jobs, jobs.c.id == stage_runs.c.job_id)
            again = again.join(owners, owners.c.id == jobs.c.owner_id).where(*claimable(), *mine)
            rows = connection.execute(again.order_by(stage_runs.c.not_before).limit(wanted.limit)).all()
        return Requeued([(Stage(stage), RunId(run_id)) for stage, run_id in rows], woken)


def _of_jobs(query: Select[Any], wanted: Filter) -> Select[Any]:
    if wanted.job_ids:
        query = query.where(jobs.c.id.in_([uuid_or_missing(job_id, "job") for job_id in wanted.job_ids]))
    if wanted.statuses:
        query = query.where(jobs.c.status.in_(wanted.statuses))
    if wanted.stage is not None:
        at_it = (stage_runs.c.job_id == jobs.c.id, stage_runs.c.stage == wanted.stage)
        here = select(stage_runs.c.id).where(*at_it, stage_runs.c.status.in_((*OPEN_RUNS, *BURIED)))
        query = query.where(here.exists())
    if wanted.older_than_s is not None:
        since = func.coalesce(jobs.c.finished_at, jobs.c.created_at)
        query = query.where(since < func.now() - seconds(wanted.older_than_s))
    return query.where(*_of_owner(wanted))


def _of_run(wanted: Filter) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = []
    if wanted.stage is not None:
        chosen.append(stage_runs.c.stage == wanted.stage)
    if wanted.job_ids:
        chosen.append(stage_runs.c.job_id.in_([uuid_or_missing(job_id, "job") for job_id in wanted.job_ids]))
    return chosen


def _of_owner(wanted: Filter) -> list[ColumnElement[bool]]:
    if wanted.owner is None:
        return []
    try:
        return [or_(owners.c.id == uuid_or_missing(wanted.owner, "owner"), owners.c.name == wanted.owner)]
    except NotFound:
        return [owners.c.name == wanted.owner]


def _error(row: AnyRow) -> JobError | None:
    return from_json(JobError, row.error) if row.error else None


def _job_line(row: AnyRow) -> JobLine:
    return JobLine(
        id=row.id,
        owner_id=row.owner_id,
        owner=row.owner,
        session_id=row.session_id,
        status=JobStatus(row.status),
        stage=Stage(row.stage) if row.stage else None,
        percent=row.percent,
        attempts=row.attempts,
        waiting_s=None if row.waiting_s is None else max(0.0, float(row.waiting_s)),
        error=_error(row),
        created_at=row.created_at,
        finished_at=row.finished_at,
        traceparent=row.traceparent,
    )


def _buried_run(row: AnyRow) -> BuriedRun:
    return BuriedRun(
        id=row.id,
        job_id=row.job_id,
        owner_id=row.job_owner,
        owner=row.owner,
        stage=Stage(row.stage),
        shard=row.shard,
        status=RunStatus(row.status),
        attempts=row.attempt,
        finished_at=row.finished_at,
        error=_error(row),
        job_status=JobStatus(row.job_status),
    )
