"""Queues as their operator sees them: pause, resume, see what waits. In the ledger: a restart changes nothing."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from shared.domain.job import RunStatus, Stage
from shared.store.changes import OPEN_RUNS
from shared.store.queue_tables import queues
from shared.store.session import Database
from shared.store.tables import stage_runs


@dataclass(frozen=True, slots=True)
class Pause:
    """Since when nobody takes from a queue, who said so, and why."""

    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class QueueState:
    """`waiting` may be taken now, `later` waits for another attempt's time, `running` is at work."""

    stage: Stage
    pause: Pause | None
    waiting: int
    later: int
    running: int

    @property
    def drained(self) -> bool:
        return self.pause is not None and self.running == 0


class Queues:
    def __init__(self, database: Database) -> None:
        self.database = database

    def pause(self, stage: Stage, by: str, reason: str) -> None:
        """From the next claim on nobody takes a run of this stage; who works goes on. Twice: the first stays."""
        row = {"stage": stage, "paused_by": by, "reason": reason}
        with self.database.begin() as connection:
            connection.execute(insert(queues).values(row).on_conflict_do_nothing())

    def resume(self, stage: Stage) -> bool:
        """The steward rings what waits within a second. False: it was not paused."""
        with self.database.begin() as connection:
            return connection.execute(delete(queues).where(queues.c.stage == stage)).rowcount > 0

    def states(self) -> list[QueueState]:
        """Every stage's, in order. A drain is a pause, and then looking here until it has `drained`."""
        counted = select(stage_runs.c.stage, stage_runs.c.status, stage_runs.c.ready, func.count())
        open_runs = counted.where(stage_runs.c.status.in_(OPEN_RUNS))
        with self.database.begin() as connection:
            pauses = {
                row.stage: Pause(row.paused_at, row.paused_by, row.reason) for row in connection.execute(select(queues))
            }
            rows = connection.execute(open_runs.group_by(*counted.selected_columns[:3])).all()
        runs = {(stage, status, ready): count for stage, status, ready, count in rows}
        return [_state(stage, pauses.get(stage), runs) for stage in Stage]


def _state(stage: Stage, pause: Pause | None, runs: dict[tuple[str, str, bool], int]) -> QueueState:
    def count(status: RunStatus, *ready: bool) -> int:
        return sum(runs.get((stage, status, flag), 0) for flag in ready)

    return QueueState(
        stage=stage,
        pause=pause,
        waiting=count(RunStatus.QUEUED, True),
        later=count(RunStatus.QUEUED, False),
        running=count(RunStatus.RUNNING, True, False),
    )
