"""How a job moves on: the plan is asked, its answer written. The caller holds the job's lock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection, func, literal, select, update

from shared.domain.graph import Outcome, RunState, Step
from shared.domain.ids import RunId
from shared.domain.job import JobError, JobStatus, JobWarning, ProgressStatus, RunStatus, Stage
from shared.domain.progress import Estimate, JobMoment, RunMoment
from shared.store.changes import end_job, stop_runs
from shared.store.progress import Notice, post
from shared.store.rows import AnyRow, from_json, to_json, to_json_list, warnings_of
from shared.store.tables import JSONB, artefacts, jobs, results, stage_runs
from shared.store.turns import add_runs

Costs = Mapping[Stage, float]
Runs = list[tuple[Stage, RunId]]


class Rules(Protocol):
    """What the pipelines know and the store does not."""

    def step(self, runs: Sequence[RunState], shards: int | None) -> Step: ...

    def estimate(self, moment: JobMoment) -> Estimate: ...


@dataclass(frozen=True)
class Flow:
    """A job's next step, and what is said of it."""

    rules: Rules
    costs: Costs = field(default_factory=dict)

    def advance(self, connection: Connection, job_id: str) -> Runs:
        """After any run of the job has ended. Returns the runs to ring."""
        job = _job(connection, job_id)
        runs = _runs(connection, job_id)
        shards = None if job.shard_s is None else len(job.shard_s)
        step = self.rules.step([RunState(Stage(row.stage), row.shard, RunStatus(row.status)) for row in runs], shards)
        warnings = _collect(connection, job_id, step.warnings)
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(warnings=to_json_list(warnings)))
        if step.outcome is not None:
            _end(connection, job, runs, step.outcome, warnings)
            return []
        created = add_runs(connection, job.owner_id, [(job_id, stage, shard) for stage, shard in step.create])
        self.tell(connection, job_id)
        return created

    def tell(self, connection: Connection, job_id: str, *, saving: bool = False) -> None:
        """Where the job stands now."""
        job = _job(connection, job_id)
        started = {"status": JobStatus.RUNNING, "started_at": func.coalesce(jobs.c.started_at, func.now())}
        connection.execute(update(jobs).where(jobs.c.id == job_id, jobs.c.status == JobStatus.QUEUED).values(started))
        seen = self.rules.estimate(_moment(job, _runs(connection, job_id), self.costs))
        status = ProgressStatus.SAVING if saving else seen.status
        post(connection, job_id, Notice(status, seen.stage, seen.percent, seen.eta_s))


def _job(connection: Connection, job_id: str) -> AnyRow:
    elapsed_s = func.extract("epoch", func.now() - jobs.c.started_at).label("elapsed_s")
    return connection.execute(select(jobs, elapsed_s).where(jobs.c.id == job_id)).one()


def _runs(connection: Connection, job_id: str) -> Sequence[AnyRow]:
    order = (stage_runs.c.created_at, stage_runs.c.shard)
    return connection.execute(select(stage_runs).where(stage_runs.c.job_id == job_id).order_by(*order)).all()


def _moment(job: AnyRow, runs: Sequence[AnyRow], costs: Costs) -> JobMoment:
    return JobMoment(
        audio_s=job.audio_s,
        shard_s=None if job.shard_s is None else tuple(job.shard_s),
        elapsed_s=max(0.0, float(job.elapsed_s or 0.0)),
        runs=tuple(_run_moment(job, row) for row in runs),
        costs=costs,
    )


def _run_moment(job: AnyRow, row: AnyRow) -> RunMoment:
    status = RunStatus(row.status)
    earlier = job.started_at is None or (row.finished_at is not None and row.finished_at < job.started_at)
    free = status is RunStatus.DONE and (row.work_s is None or earlier)
    return RunMoment(Stage(row.stage), row.shard, status, row.done_s, free)


def _collect(connection: Connection, job_id: str, planned: tuple[JobWarning, ...]) -> tuple[JobWarning, ...]:
    """The warnings of the finished runs in the order of the stages, then the plan's; each code once."""
    query = select(artefacts.c.stage, artefacts.c.shard, artefacts.c.warnings).where(artefacts.c.job_id == job_id)
    rows = sorted(connection.execute(query), key=lambda row: (list(Stage).index(Stage(row.stage)), row.shard))
    found = [warning for row in rows for warning in warnings_of(row.warnings)]
    once: dict[str, JobWarning] = {}
    for warning in (*found, *planned):
        once.setdefault(warning.code, warning)
    return tuple(once.values())


def _end(
    connection: Connection,
    job: AnyRow,
    runs: Sequence[AnyRow],
    outcome: Outcome,
    warnings: tuple[JobWarning, ...],
) -> None:
    match outcome.status:
        case JobStatus.COMPLETED:
            _complete(connection, job, warnings)
        case JobStatus.FAILED:
            stop_runs(connection, job.id)
            error = _cause(runs, outcome.cause)
            end_job(connection, job.id, JobStatus.FAILED, error=to_json(error))
            post(connection, job.id, Notice(ProgressStatus.ERROR, error.stage, always=True))
        case _:
            stop_runs(connection, job.id)
            end_job(connection, job.id, outcome.status)
            post(connection, job.id, Notice(ProgressStatus.CANCELLED, None, always=True))


def _cause(runs: Sequence[AnyRow], cause: RunState | None) -> JobError:
    for row in runs:
        if cause is not None and row.error and (row.stage, row.shard) == (cause.stage, cause.shard):
            return from_json(JobError, row.error)
    return JobError("internal_error", "The job ended for a reason that was not kept")


def _complete(connection: Connection, job: AnyRow, warnings: tuple[JobWarning, ...]) -> None:
    status = JobStatus.COMPLETED_WITH_WARNINGS if warnings else JobStatus.COMPLETED
    end_job(connection, job.id, status)
    word = ProgressStatus(status.value)
    post(connection, job.id, Notice(word, Stage.SYNTHESIZE, percent=100.0, always=True))
    _stamp_result(connection, job.id)


def _stamp_result(connection: Connection, job_id: str) -> None:
    """The result's own account of its job is the ledger's: only now is it known how the job ended."""
    job = _job(connection, job_id)
    block: dict[str, Any] = {
        "id": job.id,
        "session_id": job.session_id,
        "status": job.status,
        "warnings": job.warnings,
        "created_at": job.created_at.isoformat(),
        "finished_at": job.finished_at.isoformat(),
    }
    stamped = results.c.document.op("||")(literal({"job": block}, JSONB))
    connection.execute(update(results).where(results.c.job_id == job_id).values(document=stamped))
