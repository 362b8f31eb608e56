"""How much waits, how long already, and what is stuck: read from the ledger at each scrape and each look at health."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from shared.domain.job import JobStatus, RunStatus, Stage
from shared.store.keeping_tables import chores
from shared.store.queue_tables import queues
from shared.store.session import Database
from shared.store.tables import jobs, stage_runs

BURIED = (RunStatus.FAILED, RunStatus.DEAD)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Runs of one stage in one state, and how long ago the oldest was made."""

    stage: Stage
    status: RunStatus
    runs: int
    oldest_s: float


class BacklogReader:
    def __init__(self, database: Database) -> None:
        self.database = database

    def open_runs(self) -> list[Waiting]:
        """Three questions, so that each is answered from the partial index made for it, however much has ended."""
        with self.database.begin() as connection:
            rows = [row for state in _OPEN for row in connection.execute(_counted(state))]
        found: dict[tuple[Stage, RunStatus], Waiting] = {}
        for stage, status, runs, oldest_s in rows:
            key = Stage(stage), RunStatus(status)
            before = found.get(key, Waiting(*key, 0, 0.0))
            found[key] = Waiting(*key, before.runs + runs, max(before.oldest_s, float(oldest_s)))
        return list(found.values())

    def oldest_due_s(self, stages: Iterable[Stage] = tuple(Stage)) -> dict[Stage, float]:
        """For how long a worker could have claimed the oldest run; neither paused queues nor waits count."""
        age_s = func.extract("epoch", func.now() - func.min(stage_runs.c.not_before))
        query = select(stage_runs.c.stage, age_s).where(*claimable(), stage_runs.c.stage.in_(list(stages)))
        with self.database.begin() as connection:
            rows = connection.execute(query.group_by(stage_runs.c.stage)).all()
        return {Stage(stage): max(0.0, float(age)) for stage, age in rows}

    def buried(self) -> dict[tuple[Stage, RunStatus], int]:
        """Runs that ended badly and have neither been replayed nor purged."""
        query = select(stage_runs.c.stage, stage_runs.c.status, func.count()).where(stage_runs.c.status.in_(BURIED))
        with self.database.begin() as connection:
            rows = connection.execute(query.group_by(stage_runs.c.stage, stage_runs.c.status)).all()
        return {(Stage(stage), RunStatus(status)): count for stage, status, count in rows}

    def paused(self) -> set[Stage]:
        with self.database.begin() as connection:
            return {Stage(stage) for stage in connection.execute(select(queues.c.stage)).scalars()}

    def chore_failures(self) -> dict[str, int]:
        """Of each of the steward's chores: how often in a row it has failed."""
        with self.database.begin() as connection:
            rows = connection.execute(select(chores.c.name, chores.c.failures)).all()
        return {row.name: row.failures for row in rows}

    def active_jobs(self) -> int:
        with self.database.begin() as connection:
            query = select(func.count()).where(jobs.c.status == JobStatus.RUNNING)
            return int(connection.execute(query).scalar_one())


_QUEUED, _RUNNING = stage_runs.c.status == RunStatus.QUEUED, stage_runs.c.status == RunStatus.RUNNING
_OPEN = ((_QUEUED, stage_runs.c.ready), (_QUEUED, ~stage_runs.c.ready), (_RUNNING,))


def _counted(state: tuple[ColumnElement[bool], ...]) -> Select[Any]:
    age_s = func.extract("epoch", func.now() - func.min(stage_runs.c.created_at))
    query = select(stage_runs.c.stage, stage_runs.c.status, func.count(), age_s)
    return query.where(*state).group_by(stage_runs.c.stage, stage_runs.c.status)


def claimable() -> tuple[ColumnElement[bool], ...]:
    paused = select(queues.c.stage).where(queues.c.stage == stage_runs.c.stage)
    return _QUEUED, stage_runs.c.ready, ~paused.exists()
