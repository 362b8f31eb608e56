"""What a worker does with a stage run: claim it, hold it, read what came before, and end it in one fenced transaction.

Every change names the token of the claim: a worker that lost its run to another changes nothing. Who needs both locks
the job first, then the run, so that nobody waits in a circle.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from time import monotonic
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.domain.errors import Cancelled, Fenced
from shared.domain.graph import NEEDS
from shared.domain.ids import JobId, RunId
from shared.domain.job import Job, JobError, JobStatus, JobWarning, Priority, RunStatus, Stage, StageRun, StoredFile
from shared.observe.traces import current_traceparent
from shared.store.changes import seconds
from shared.store.costs import CostMemory
from shared.store.flow import Costs, Flow, Rules, Runs
from shared.store.progress import lock_job, with_age
from shared.store.rows import AnyRow, from_json, job_of, to_json, to_json_list
from shared.store.session import Database
from shared.store.tables import artefacts, jobs, results, stage_runs
from shared.store.turns import Hand, take


class Hold(Enum):
    """What a heartbeat learns."""

    HELD = "held"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that is ours until its lease runs out."""

    run: StageRun
    token: str
    job: Job
    audio_s: float | None
    costs: Costs
    upstream: tuple[tuple[Stage, int, str], ...]  # stage, shard and cache key of what this stage is made from
    failed: Mapping[Stage, JobError]  # stages that failed and were gone on without
    traceparent: str | None = None  # the job's trace, whoever rang
    led_here: str | None = None  # what queued this run, or its attempt before
    claimed_at: float = field(default_factory=monotonic, compare=False)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What a stage found out that the whole job needs: the recording's length, the lengths of its shards."""

    audio_s: float | None = None
    shard_s: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """All that a run leaves. `document` is plain JSON."""

    cache_key: str
    document: Any
    files: tuple[StoredFile, ...] = ()
    warnings: tuple[JobWarning, ...] = ()
    facts: JobFacts = field(default_factory=JobFacts)
    from_cache: bool = False
    made_by: JobId | None = None  # the job it was taken from


class RunLedger:
    def __init__(self, database: Database, rules: Rules) -> None:
        self.database = database
        self.rules = rules
        self._costs = CostMemory()

    def claim(
        self, hint: RunId, *, message_id: str, lease_s: float, least: Priority = Priority.INTERACTIVE
    ) -> Claim | None:
        """The run whose turn it is in the stage of `hint`: a hint and no more, for any message will do for any run.

        None: nothing is due there, or the queue is paused, or the job of the hint was deleted. `least` leaves out what
        goes before it, if there is anything else.
        """
        hand = Hand(str(uuid4()), message_id, lease_s)
        with self.database.once() as connection:
            row = take(connection, hint, hand, least=least.rank)
            if row is None and least.rank:
                row = take(connection, hint, hand)
        return None if row is None else self._read_claim(row, hand.token)

    def _read_claim(self, row: AnyRow, token: str) -> Claim:
        run = _claimed_run(row)
        made = [(Stage(stage), shard, key) for stage, shard, key in row.made or ()]
        return Claim(
            run=run,
            token=token,
            job=job_of(row),
            audio_s=_run_audio_s(run, row.audio_s, row.shard_s),
            costs=self._costs.of(self.database, row.audio_s),
            upstream=tuple(found for found in made if found[0] in NEEDS[run.stage]),
            failed={Stage(stage): from_json(JobError, error) for stage, error in (row.broken or {}).items()},
            traceparent=row.traceparent,
            led_here=row.led_here,
        )

    def beat(self, claim: Claim, lease_s: float) -> Hold:
        """Renew the lease; learn whether there still is one."""
        renewed = update(stage_runs).where(*_ours(claim)).values(lease_until=func.now() + seconds(lease_s))
        with self.database.once() as connection:
            return Hold.HELD if connection.execute(renewed).rowcount else _look(connection, claim)

    def look(self, claim: Claim) -> Hold:
        """Whether there still is a lease: a read by primary key, and cheap enough for every second."""
        with self.database.once() as connection:
            return _look(connection, claim)

    def clear(self, claim: Claim, delete_prefix: Callable[[str], object]) -> None:
        """Deletes the objects that a run has left and no row names, when its job was cancelled or deleted.

        The job's lock is held meanwhile: a retry, whose objects have the same names, comes before or after.
        """
        run, job_id = claim.run, claim.job.id
        kept = (artefacts.c.job_id == job_id, artefacts.c.stage == run.stage, artefacts.c.shard == run.shard)
        with self.database.begin() as connection:
            job = lock_job(connection, job_id)
            if job is None:
                delete_prefix(f"jobs/{job_id}/")
            elif (
                job.status == JobStatus.CANCELLED
                and not connection.execute(select(artefacts.c.stage).where(*kept)).all()
            ):
                delete_prefix(f"jobs/{job_id}/{run.stage}/{run.shard}/")

    def report(self, claim: Claim, done_s: float, *, wait: bool = False, saving: bool = False) -> None:
        """Progress of this run. Without `wait` it is left out while somebody else changes the job."""
        with self.database.begin() as connection:
            job = lock_job(connection, claim.job.id, wait=wait)
            if job is None:
                return
            now = {"done_s": done_s, "traceparent": current_traceparent()}
            noted = update(stage_runs).where(*_ours(claim)).values(now)
            if connection.execute(noted).rowcount:
                Flow(self.rules, claim.costs).tell(connection, job, saving=saving)

    def finish(self, claim: Claim, done: Finished) -> Runs:
        """The one transaction that makes the work count: run, artefact, result, next runs, progress."""
        with self.database.begin() as connection:
            job = lock_job(connection, claim.job.id)
            if job is None:
                raise Cancelled(f"Job {claim.job.id} was deleted")
            ended = {
                "status": RunStatus.DONE,
                "cache_key": done.cache_key,
                "error": None,
                "audio_s": _audio_s(claim, done, job),
                "work_s": None if done.from_cache else func.extract("epoch", func.now() - stage_runs.c.started_at),
            }
            if not _end_run(connection, claim, ended):
                return []
            job = _keep(connection, claim, done, job)
            return Flow(self.rules, claim.costs).advance(connection, job)

    def give_back(self, claim: Claim, error: JobError, delay_s: float) -> None:
        """To be tried again after `delay_s`."""
        with self.database.begin() as connection:
            connection.execute(update(stage_runs).where(*_ours(claim)).values(_queued_again(error, delay_s)))

    def hold(self, claim: Claim, error: JobError, delay_s: float, patience_s: float) -> bool:
        """As `give_back`, for a run that could not try: the attempt is not counted, unless the job runs too long."""
        began = func.coalesce(jobs.c.started_at, func.now())
        young = select(jobs.c.id).where(jobs.c.id == claim.job.id, began > func.now() - seconds(patience_s))
        uncounted = _queued_again(error, delay_s) | {"attempt": func.greatest(0, stage_runs.c.attempt - 1)}
        with self.database.begin() as connection:
            held = update(stage_runs).where(*_ours(claim), young.exists()).values(uncounted)
            return connection.execute(held).rowcount > 0

    def fail(self, claim: Claim, error: JobError, status: RunStatus) -> Runs:
        """The run ends badly; the plan says what becomes of the job."""
        with self.database.begin() as connection:
            job = lock_job(connection, claim.job.id)
            if not _end_run(connection, claim, {"status": status, "error": to_json(error)}) or job is None:
                return []
            return Flow(self.rules, claim.costs).advance(connection, job)

    def release_message(self, message_id: str) -> int:
        """Its worker is known to be dead: the lease ends now, the steward takes the run back."""
        held = (stage_runs.c.message_id == message_id, stage_runs.c.status == RunStatus.RUNNING)
        with self.database.begin() as connection:
            return connection.execute(update(stage_runs).where(*held).values(lease_until=func.now())).rowcount


def _queued_again(error: JobError, delay_s: float) -> dict[str, Any]:
    later = func.now() + seconds(delay_s)
    return {
        "status": RunStatus.QUEUED,
        "token": None,
        "lease_until": None,
        "not_before": later,
        "ready": delay_s <= 0,  # else the steward makes it so
        "ring_at": later,
        "error": to_json(error),
        "traceparent": current_traceparent(),
    }


def _look(connection: Connection, claim: Claim) -> Hold:
    now = connection.execute(select(stage_runs.c.status, stage_runs.c.token).where(_same(claim))).one_or_none()
    if now is None or now.status == RunStatus.CANCELLED:
        return Hold.CANCELLED
    return Hold.HELD if now.token == claim.token else Hold.LOST  # ours too when we have just finished it


def _same(claim: Claim) -> ColumnElement[bool]:
    return stage_runs.c.id == claim.run.id


def _ours(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return _same(claim), stage_runs.c.token == claim.token, stage_runs.c.status == RunStatus.RUNNING


def _end_run(connection: Connection, claim: Claim, columns: dict[str, Any]) -> bool:
    """False: an earlier try of this very commit had gone through. Raises when the run is no longer ours."""
    ended = {"lease_until": None, "finished_at": func.now(), **columns}
    if connection.execute(update(stage_runs).where(*_ours(claim)).values(ended)).rowcount:
        return True
    now = connection.execute(select(stage_runs).where(_same(claim))).one_or_none()
    if now is not None and now.token == claim.token and now.status == columns["status"]:
        return False
    if now is None or now.status == RunStatus.CANCELLED:
        raise Cancelled(f"Run {claim.run.id} was cancelled")
    raise Fenced(f"Run {claim.run.id} belongs to another worker")


def _claimed_run(row: AnyRow) -> StageRun:
    return StageRun(
        id=RunId(row.run_id),
        job_id=JobId(row.id),
        stage=Stage(row.run_stage),
        shard=row.shard,
        status=RunStatus.RUNNING,
        attempt=row.attempt,
        cache_key=row.cache_key,
        error=from_json(JobError, row.run_error) if row.run_error else None,
    )


def _run_audio_s(run: StageRun, audio_s: float | None, shard_s: list[float] | None) -> float | None:
    if run.stage is Stage.TRANSCRIBE and shard_s is not None and run.shard < len(shard_s):
        return shard_s[run.shard]
    return audio_s


def _audio_s(claim: Claim, done: Finished, job: Any) -> float | None:
    return done.facts.audio_s or _run_audio_s(claim.run, job.audio_s, job.shard_s)


def _keep(connection: Connection, claim: Claim, done: Finished, job: AnyRow) -> AnyRow:
    """The job's row as it is afterwards."""
    row = {
        "job_id": claim.job.id,
        "stage": claim.run.stage,
        "shard": claim.run.shard,
        "owner_id": claim.job.owner_id,
        "cache_key": done.cache_key,
        "document": done.document,
        "files": to_json_list(done.files),
        "warnings": to_json_list(done.warnings),
    }
    connection.execute(insert(artefacts).values(row))
    facts = {"audio_s": done.facts.audio_s, "shard_s": None if done.facts.shard_s is None else list(done.facts.shard_s)}
    known = {name: value for name, value in facts.items() if value is not None}
    if known:
        job = connection.execute(
            update(jobs).where(jobs.c.id == claim.job.id).values(known).returning(*with_age())
        ).one()
    if claim.run.stage is Stage.SYNTHESIZE:
        if done.made_by is not None:
            still_there = select(jobs.c.id).where(jobs.c.id == done.made_by).scalar_subquery()
            connection.execute(update(jobs).where(jobs.c.id == claim.job.id).values(deduped_from=still_there))
        result = {"job_id": claim.job.id, "owner_id": claim.job.owner_id, "document": done.document}
        connection.execute(insert(results).values(result))
    return job
