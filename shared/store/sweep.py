"""What the steward does to the ledger each second. Every step may run twice, or in two stewards at once."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, func, literal, select, update

from shared.domain.ids import RunId
from shared.domain.job import JobError, JobStatus, RunStatus, Stage
from shared.store.changes import OPEN_RUNS, seconds
from shared.store.flow import Flow, Rules, Runs
from shared.store.progress import lock_job
from shared.store.rows import to_json
from shared.store.session import Database
from shared.store.tables import JSONB, jobs, stage_runs

OPEN_JOBS = (JobStatus.QUEUED, JobStatus.RUNNING)
AT_ONCE = 100  # rows changed by one statement: short transactions, and the next second there is another

LOST = JobError("worker_lost", "The worker was lost each time while it did this; the recording may be too much for it")


@dataclass(frozen=True, slots=True)
class Backlog:
    """Runs of one stage in one state, and how long the oldest has waited."""

    stage: Stage
    status: RunStatus
    runs: int
    oldest_s: float


class Sweep:
    def __init__(self, database: Database, rules: Rules, max_attempts: Mapping[Stage, int]) -> None:
        self.database = database
        self._flow = Flow(rules)
        allowed = {stage.value: most for stage, most in max_attempts.items()}
        self._allowed: ColumnElement[int] = case(allowed, value=stage_runs.c.stage)

    def requeue_expired(self) -> list[tuple[Stage, RunId]]:
        """Runs whose worker is gone go back, due at once."""
        expired = select(stage_runs.c.id).where(*_expired(), stage_runs.c.attempt < self._allowed)
        chosen = expired.limit(AT_ONCE).with_for_update(skip_locked=True)
        back = {
            "status": RunStatus.QUEUED,
            "token": None,
            "lease_until": None,
            "not_before": func.now(),
            "ring_at": func.now(),
        }
        moved = update(stage_runs).where(stage_runs.c.id.in_(chosen)).values(back)
        with self.database.begin() as connection:
            rows = connection.execute(moved.returning(stage_runs.c.stage, stage_runs.c.id))
            return [(Stage(stage), RunId(run_id)) for stage, run_id in rows]

    def bury_poison(self) -> tuple[list[RunId], Runs]:
        """Runs that took their worker with them at every attempt end here. (buried, runs to ring)."""
        poison = (*_expired(), stage_runs.c.attempt >= self._allowed)
        with self.database.begin() as connection:
            query = select(stage_runs.c.job_id, stage_runs.c.id).where(*poison).limit(AT_ONCE)
            found = connection.execute(query).all()
        buried: list[RunId] = []
        ring: Runs = []
        for job_id, run_id in found:
            with self.database.begin() as connection:
                if lock_job(connection, job_id, wait=False) is not None and self._bury(connection, run_id):
                    buried.append(RunId(run_id))
                    ring += self._flow.advance(connection, job_id)
        return buried, ring

    def _bury(self, connection: Connection, run_id: str) -> bool:
        poison = (stage_runs.c.id == run_id, *_expired(), stage_runs.c.attempt >= self._allowed)
        dead = {
            "status": RunStatus.DEAD,
            "lease_until": None,
            "finished_at": func.now(),
            "error": func.coalesce(stage_runs.c.error, literal(to_json(LOST), JSONB)),
        }
        return connection.execute(update(stage_runs).where(*poison).values(dead)).rowcount > 0

    def repair(self) -> Runs:
        """Jobs that are open although none of their runs is: the plan is asked again."""
        busy = select(stage_runs.c.id).where(stage_runs.c.job_id == jobs.c.id, stage_runs.c.status.in_(OPEN_RUNS))
        idle = select(jobs.c.id).where(jobs.c.status.in_(OPEN_JOBS), ~busy.exists()).limit(AT_ONCE)
        with self.database.begin() as connection:
            found = connection.execute(idle).scalars().all()
        ring: Runs = []
        for job_id in found:
            with self.database.begin() as connection:
                job = lock_job(connection, job_id, wait=False)
                if job is not None and job.status in OPEN_JOBS:
                    ring += self._flow.advance(connection, job_id)
        return ring

    def due_stages(self) -> list[Stage]:
        """Stages with runs that somebody must ring."""
        query = select(stage_runs.c.stage).where(*_due()).distinct()
        with self.database.begin() as connection:
            return [Stage(stage) for stage in connection.execute(query).scalars()]

    def take_due(self, stage: Stage, limit: int, rering_s: float) -> Runs:
        """The runs of a stage that are due longest, marked as rung: they are due again after `rering_s`."""
        due = select(stage_runs.c.id).where(*_due(), stage_runs.c.stage == stage).order_by(stage_runs.c.ring_at)
        chosen = due.limit(min(limit, AT_ONCE)).with_for_update(skip_locked=True)
        rung = update(stage_runs).where(stage_runs.c.id.in_(chosen)).values(ring_at=func.now() + seconds(rering_s))
        with self.database.begin() as connection:
            return [(stage, RunId(run_id)) for run_id in connection.execute(rung.returning(stage_runs.c.id)).scalars()]

    def not_rung(self, runs: Runs) -> None:
        """The broker was away: they stay due."""
        ids = [run_id for _, run_id in runs]
        with self.database.begin() as connection:
            connection.execute(update(stage_runs).where(stage_runs.c.id.in_(ids)).values(ring_at=func.now()))

    def oldest_due_s(self, stages: list[Stage]) -> float:
        """How long the oldest run of these stages could have been claimed already; 0 when none is due."""
        age_s = func.extract("epoch", func.now() - func.min(stage_runs.c.not_before))
        queued = (stage_runs.c.status == RunStatus.QUEUED, stage_runs.c.stage.in_(stages))
        with self.database.begin() as connection:
            return max(0.0, float(connection.execute(select(age_s).where(*queued)).scalar_one() or 0.0))

    def backlog(self) -> list[Backlog]:
        """Open runs by stage and state."""
        age_s = func.extract("epoch", func.now() - func.min(stage_runs.c.created_at))
        query = select(stage_runs.c.stage, stage_runs.c.status, func.count(), age_s)
        counted = query.where(stage_runs.c.status.in_(OPEN_RUNS)).group_by(stage_runs.c.stage, stage_runs.c.status)
        with self.database.begin() as connection:
            rows = connection.execute(counted).all()
        return [Backlog(Stage(row[0]), RunStatus(row[1]), row[2], float(row[3])) for row in rows]


def _expired() -> tuple[ColumnElement[bool], ...]:
    return stage_runs.c.status == RunStatus.RUNNING, stage_runs.c.lease_until < func.now()


def _due() -> tuple[ColumnElement[bool], ...]:
    return stage_runs.c.status == RunStatus.QUEUED, stage_runs.c.ring_at <= func.now()
