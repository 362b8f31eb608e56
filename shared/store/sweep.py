"""What the steward does to the ledger each second. Every step may run twice, or in two stewards at once."""

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, case, func, literal, select, text, update

from shared.domain.ids import RunId
from shared.domain.job import JobError, JobStatus, RunStatus, Stage
from shared.store.changes import OPEN_RUNS
from shared.store.flow import Flow, Rules, Runs
from shared.store.progress import lock_job
from shared.store.rows import to_json
from shared.store.session import Database
from shared.store.tables import JSONB, jobs, stage_runs
from shared.store.turns import not_before_others

OPEN_JOBS = (JobStatus.QUEUED, JobStatus.RUNNING)
RING_AGAIN_S = 1.0  # a steward's round: what another one has just rung is left alone
AT_ONCE = 100  # rows changed by one statement: short transactions, and the next second there is another

_DUE = text("""
SELECT named.stage, count(due.id) FROM unnest(CAST(:stages AS text[])) AS named (stage)
CROSS JOIN LATERAL (
    SELECT r.id FROM stage_runs AS r
    WHERE r.stage = named.stage AND r.status = 'queued' AND r.ready AND r.ring_at <= now()
    ORDER BY r.priority, r.turn, r.created_at LIMIT :most
) AS due WHERE NOT EXISTS (SELECT FROM queues WHERE queues.stage = named.stage)
GROUP BY named.stage
""")
_TAKE_DUE = text("""
UPDATE stage_runs SET ring_at = now() + make_interval(secs => :pause_s) WHERE id IN (
    SELECT r.id FROM stage_runs AS r
    WHERE r.stage = :stage AND r.status = 'queued' AND r.ready AND r.ring_at <= now()
    ORDER BY r.priority, r.turn, r.created_at LIMIT :most FOR UPDATE SKIP LOCKED
) RETURNING id::text
""")

LOST = JobError("worker_lost", "The worker was lost each time while it did this; the recording may be too much for it")


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
            "ready": True,
            "ring_at": func.now(),
        } | not_before_others()
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
                job = lock_job(connection, job_id, wait=False)
                if job is not None and self._bury(connection, run_id):
                    buried.append(RunId(run_id))
                    ring += self._flow.advance(connection, job)
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
                    ring += self._flow.advance(connection, job)
        return ring

    def wake(self) -> int:
        """Runs whose time for another attempt has come stand in the queue again."""
        later = (stage_runs.c.status == RunStatus.QUEUED, ~stage_runs.c.ready, stage_runs.c.not_before <= func.now())
        chosen = select(stage_runs.c.id).where(*later).limit(AT_ONCE).with_for_update(skip_locked=True)
        ready = {"ready": True} | not_before_others()
        with self.database.begin() as connection:
            return connection.execute(update(stage_runs).where(stage_runs.c.id.in_(chosen)).values(ready)).rowcount

    def due(self, most: int) -> dict[Stage, int]:
        """How many runs of each stage may be claimed and were not rung just now, up to `most`; none of a paused one."""
        named = {"stages": [stage.value for stage in Stage], "most": most}
        with self.database.begin() as connection:
            return {Stage(stage): count for stage, count in connection.execute(_DUE, named)}

    def take_due(self, stage: Stage, most: int) -> Runs:
        """The runs that are next, to be rung by who asked and by no other steward."""
        named = {"stage": stage, "most": most, "pause_s": RING_AGAIN_S}
        with self.database.begin() as connection:
            return [(stage, RunId(run_id)) for run_id in connection.execute(_TAKE_DUE, named).scalars()]


def _expired() -> tuple[ColumnElement[bool], ...]:
    return stage_runs.c.status == RunStatus.RUNNING, stage_runs.c.lease_until < func.now()
