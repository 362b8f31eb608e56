"""How a job moves on: the plan is asked, its answer written. The caller holds the job's lock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection, literal, select, tuple_, update

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

    def advance(self, connection: Connection, job: AnyRow) -> Runs:
        """After any run of the job has ended. `job` is its locked row. Returns the runs to ring."""
        runs = _runs(connection, job.id)
        shards = None if job.shard_s is None else len(job.shard_s)
        step = self.rules.step([RunState(Stage(row.stage), row.shard, RunStatus(row.status)) for row in runs], shards)
        warnings = _collect(runs, step.warnings)
        listed = to_json_list(warnings)
        if listed != job.warnings:
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(warnings=listed))
        if step.outcome is not None:
            _end(connection, job, runs, step.outcome, warnings)
            return []
        created = add_runs(connection, [(job.id, stage, shard) for stage, shard in step.create])
        new = tuple(RunMoment(stage, shard, RunStatus.QUEUED, 0.0, False) for stage, shard in step.create)
        self._post(connection, job, _moment(job, runs, self.costs, new))
        return created

    def tell(self, connection: Connection, job: AnyRow, *, saving: bool = False) -> None:
        """Where the job stands now."""
        self._post(connection, job, _moment(job, _runs(connection, job.id), self.costs), saving=saving)

    def _post(self, connection: Connection, job: AnyRow, moment: JobMoment, *, saving: bool = False) -> None:
        seen = self.rules.estimate(moment)
        status = ProgressStatus.SAVING if saving else seen.status
        post(connection, job.id, Notice(status, seen.stage, seen.percent, seen.eta_s, working=True))


def _runs(connection: Connection, job_id: str) -> Sequence[AnyRow]:
    """Each with the warnings that it left."""
    left = (stage_runs.c.job_id, stage_runs.c.stage, stage_runs.c.shard)
    same = tuple_(*left) == tuple_(artefacts.c.job_id, artefacts.c.stage, artefacts.c.shard)
    query = select(stage_runs, artefacts.c.warnings).outerjoin(artefacts, same).where(stage_runs.c.job_id == job_id)
    return connection.execute(query.order_by(stage_runs.c.created_at, stage_runs.c.shard)).all()


def _moment(job: AnyRow, runs: Sequence[AnyRow], costs: Costs, new: tuple[RunMoment, ...] = ()) -> JobMoment:
    return JobMoment(
        audio_s=job.audio_s,
        shard_s=None if job.shard_s is None else tuple(job.shard_s),
        elapsed_s=max(0.0, float(job.elapsed_s or 0.0)),
        runs=tuple(_run_moment(job, row) for row in runs) + new,
        costs=costs,
    )


def _run_moment(job: AnyRow, row: AnyRow) -> RunMoment:
    status = RunStatus(row.status)
    earlier = job.started_at is None or (row.finished_at is not None and row.finished_at < job.started_at)
    free = status is RunStatus.DONE and (row.work_s is None or earlier)
    return RunMoment(Stage(row.stage), row.shard, status, row.done_s, free)


def _collect(runs: Sequence[AnyRow], planned: tuple[JobWarning, ...]) -> tuple[JobWarning, ...]:
    """The warnings of the finished runs in the order of the stages, then the plan's; each code once."""
    warned = [row for row in runs if row.warnings]
    rows = sorted(warned, key=lambda row: (list(Stage).index(Stage(row.stage)), row.shard))
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
    job = connection.execute(select(jobs).where(jobs.c.id == job_id)).one()
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
