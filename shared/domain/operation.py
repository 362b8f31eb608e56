"""What the operator asks about, over all owners, and what the ledger answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.ids import JobId, OwnerId, RunId
from shared.domain.job import JobError, JobStatus, RunStatus, Stage

ENDED = tuple(status for status in JobStatus if status.ended)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs or runs are meant. What is None or empty restricts nothing; `owner` is an id or a name."""

    job_ids: Sequence[str] = ()
    statuses: Sequence[str] = ()
    stage: Stage | None = None
    owner: str | None = None
    older_than_s: float | None = None  # since they were made, or, where they have ended, since then
    limit: int = 50


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job as its operator sees it. `waiting_s`: for how long its oldest run could have been claimed; None: none."""

    id: JobId
    owner_id: OwnerId
    owner: str
    session_id: str
    status: JobStatus
    stage: Stage | None
    percent: float
    attempts: int
    waiting_s: float | None
    error: JobError | None
    created_at: datetime
    finished_at: datetime | None
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class BuriedRun:
    """A run that ended badly, and why."""

    id: RunId
    job_id: JobId
    owner_id: OwnerId
    owner: str
    stage: Stage
    shard: int
    status: RunStatus
    attempts: int
    finished_at: datetime | None
    error: JobError | None
    job_status: JobStatus


@dataclass(frozen=True, slots=True)
class Requeued:
    """`runs` are to be rung; `woken` of them would have waited for their next attempt."""

    runs: list[tuple[Stage, RunId]] = field(default_factory=list)
    woken: int = 0
