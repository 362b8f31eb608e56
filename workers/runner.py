"""The one way in which every stage is run: claim, work, commit; and what becomes of each kind of failure."""

import hashlib
import mimetypes
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from shared.domain.errors import Stopped, StorageUnavailable, VibeInsightError
from shared.domain.ids import RunId
from shared.domain.job import JobError, Priority, RunStatus, Stage, StoredFile
from shared.guard.spender import spending
from shared.ports.purse import Spender
from shared.settings import Settings
from shared.store.documents import StageDocuments
from shared.store.flow import Runs
from shared.store.rows import to_json
from shared.store.runs import Claim, Finished, RunLedger
from shared.toolbox import Toolbox
from workers.cache import cache_key, content_key, look_up, object_key
from workers.context import StageContext, StageOutput, StageWork
from workers.heartbeat import Heartbeat
from workers.process import end_at_once, give_memory_back, toolbox
from workers.rules import PipelineRules
from workers.specs import max_attempts
from workers.watching import ended_otherwise, finished_well, not_due, watched
from workers.workdir import workdir

BACKOFF_FACTOR, LONGEST_BACKOFF_S = 3.0, 600.0  # 5, 15, 45, 135, 405 s: a provider's bad quarter of an hour
HELD_SPREAD = 0.25  # who was held together does not come back in step
CLEAR_S = 1.0  # a store that hangs does not hold up a process that is to end
GENEROUS = 0.1  # of the claims look at a lower priority first, so that a stream of urgent jobs starves nobody
WORTH_A_TRIM_S = 1.0  # what took less has freed little, and looking for it costs milliseconds
COMMIT_PATIENCE_S = 60.0  # a database that restarts is back by then; the work is done and worth the wait

secure_random = random.SystemRandom().random  # not inherited by a fork, as a seeded generator would be
log = structlog.get_logger(__name__)


def run_stage(run_id: str, work: StageWork, message_id: str) -> None:
    """What each Celery task does."""
    Runner(toolbox(), leave=end_at_once).run(RunId(run_id), work, message_id)


def backoff_s(attempt: int, base_s: float, jitter: Callable[[], float] = secure_random) -> float:
    """Before the next attempt: longer each time, and never in step with others that failed together."""
    longest = min(LONGEST_BACKOFF_S, base_s * BACKOFF_FACTOR ** (attempt - 1))
    return longest * (0.5 + 0.5 * jitter())


def _least(chance: Callable[[], float] = secure_random) -> Priority:
    if chance() >= GENEROUS:
        return Priority.INTERACTIVE
    return Priority.NORMAL if chance() < 0.5 else Priority.BULK


@dataclass(frozen=True, slots=True)
class Failure:
    error: JobError
    retryable: bool
    least_wait_s: float = 0.0  # what a provider asked for
    counted: bool = True  # False: nothing was tried


class Runner:
    def __init__(self, tools: Toolbox, leave: Callable[[], NoReturn] | None = None) -> None:
        """`leave` ends the process, when work that is no longer wanted does not stop."""
        self._tools, self._leave = tools, leave
        self._settings: Settings = tools.settings
        self._runs = RunLedger(tools.ledger.database, PipelineRules(self._settings.transcribe_processes))
        self._documents = StageDocuments(tools.ledger.database)

    def run(self, run_id: RunId, work: StageWork, message_id: str) -> None:
        began_ns = time.time_ns()
        claim = self._runs.claim(run_id, message_id=message_id, lease_s=self._settings.lease_s, least=_least())
        if claim is None:
            not_due(run_id)  # a copy of a message, or one that came too late
            return
        with watched(claim, message_id, began_ns):
            self._tools.doorbell.ring(self._settle(claim, work))
        if time.monotonic() - claim.claimed_at > WORTH_A_TRIM_S:
            give_memory_back()

    def _settle(self, claim: Claim, work: StageWork) -> Runs:
        """Do the work, and end the run one way or the other. Returns what is to be rung."""
        try:
            log.info("run.started")
            done = self._work_and_commit(claim, work)
        except Stopped as stopped:
            log.info("run.left", reason=stopped.code)
            ended_otherwise(claim, "stopped", code=stopped.code)
            self._clear(claim)
            return []
        except SoftTimeLimitExceeded:
            self._leave_late(claim)
        except Exception as error:
            return self._end_badly(claim, self._judge(claim, error))
        log.info("run.done", next=len(done))
        return done

    def _leave_late(self, claim: Claim) -> NoReturn:
        """The limit strikes between any two instructions, in an import or in a half-read answer: this process goes."""
        log.warning("run.timed_out")
        self._tools.ledger.database.forget_connections()
        message = f"The stage {claim.run.stage} took longer than {self._settings.soft_limit_s} s"
        error = JobError("stage_timeout", message, claim.run.stage)
        self._tools.doorbell.ring(self._end_badly(claim, Failure(error, retryable=True)))
        raise SystemExit("a new process takes this one's place")

    def _clear(self, claim: Claim) -> None:
        """What no row names is nobody's. Left to the sweep of orphans where the store is away."""
        try:
            self._runs.clear(claim, self._tools.objects.delete_prefix)
        except VibeInsightError as error:
            log.warning("run.not_cleared", reason=error.code)

    def _leave_stuck(self, leave: Callable[[], NoReturn], claim: Claim) -> None:
        """From the heartbeat's thread, while the work hangs in a model or a server. The worker starts a new process."""
        last_moment = threading.Timer(CLEAR_S, leave)
        last_moment.daemon = True
        last_moment.start()
        self._clear(claim)
        leave()

    def _work_and_commit(self, claim: Claim, work: StageWork) -> Runs:
        leave = None if self._leave is None else partial(self._leave_stuck, self._leave)
        held = Heartbeat(self._runs, claim, lease_s=self._settings.lease_s, beat_s=self._settings.beat_s, leave=leave)
        payer = Spender(claim.job.owner_id, claim.job.id, claim.run.id, claim.token)
        with held as beat, workdir(claim.token) as folder, spending(payer):
            finished = self._produce(claim, work, beat, folder)
            next_runs = self._commit(claim, finished)
        finished_well(claim, finished)
        return next_runs

    def _produce(self, claim: Claim, work: StageWork, beat: Heartbeat, folder: Path) -> Finished:
        parameters = work.parameters(claim.job, self._tools)  # read once: what is in the key is what is worked with
        key = cache_key(claim, parameters)
        cached = None if work.content_key else self._look_up(claim, work, key)
        if cached is not None:
            log.info("run.cached")
            return cached
        output = work.run(StageContext(claim, self._tools, folder, beat.tick, parameters))
        document = to_json(output.document)
        if work.content_key is not None:
            key = content_key(claim, work.content_key(document))
        elif not output.lasting:
            key = content_key(claim, claim.token)  # a name that nobody will look up
        files = self._keep_files(claim, key, output, beat)
        return Finished(key, document, files, output.warnings, work.facts(document))

    def _look_up(self, claim: Claim, work: StageWork, key: str) -> Finished | None:
        found = look_up(claim, key, self._documents, self._tools.objects)
        return found and replace(found, facts=work.facts(found.document))

    def _keep_files(self, claim: Claim, key: str, output: StageOutput, beat: Heartbeat) -> tuple[StoredFile, ...]:
        beat.saving() if claim.run.stage is Stage.SYNTHESIZE else beat.check()
        stored = []
        for name, path in output.files.items():
            stored.append(self._keep_file(object_key(claim, key, name), name, path))
            beat.check()
        return tuple(stored)

    def _keep_file(self, key: str, name: str, path: Path) -> StoredFile:
        with path.open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self._tools.objects.put(key, path, content_type)
        return StoredFile(name, key, path.stat().st_size, sha256, content_type)

    def _commit(self, claim: Claim, finished: Finished) -> Runs:
        """Tried again while the database is away: a commit that had gone through is recognised by its token."""
        tries = Retrying(
            retry=retry_if_exception_type(StorageUnavailable),
            stop=stop_after_delay(COMMIT_PATIENCE_S),
            wait=wait_random_exponential(0.2, max=2.0),
            reraise=True,
        )
        return tries(self._runs.finish, claim, finished)

    def _judge(self, claim: Claim, error: Exception) -> Failure:
        """What is to be said of a failure, and whether another attempt can help."""
        stage = claim.run.stage
        if isinstance(error, VibeInsightError):
            log.warning("run.failed", code=error.code, reason=error.message)
            asked_s = error.details.get("retry_after_s")
            least_wait_s = min(float(asked_s), LONGEST_BACKOFF_S) if isinstance(asked_s, int | float) else 0.0
            said = JobError(error.code, error.message, stage)
            return Failure(said, error.retryable, least_wait_s, error.counts_as_attempt)
        log.exception("run.crashed")
        message = f"Something unexpected happened in the stage {stage}; our logs say more under this job's id"
        return Failure(JobError("internal_error", message, stage), retryable=True)

    def _held(self, claim: Claim, failure: Failure) -> bool:
        """A provider that nobody may ask just now uses up no attempts, as long as the job has patience."""
        if failure.counted:
            return False
        wait_s = failure.least_wait_s * (1.0 + HELD_SPREAD * secure_random()) + self._settings.steward_interval_s
        held = self._runs.hold(claim, failure.error, wait_s, self._settings.provider_patience_s)
        if held:
            ended_otherwise(claim, "held", code=failure.error.code, wait_s=wait_s)
        return held

    def _end_badly(self, claim: Claim, failure: Failure) -> Runs:
        if self._held(claim, failure):
            return []
        try:
            if not failure.retryable:
                return self._fail(claim, failure.error, RunStatus.FAILED)
            if claim.run.attempt >= max_attempts(self._settings)[claim.run.stage]:
                return self._fail(claim, failure.error, RunStatus.DEAD)
        except Stopped as stopped:
            log.info("run.left", reason=stopped.code)
            return []
        wait_s = max(failure.least_wait_s, backoff_s(claim.run.attempt, self._settings.retry_base_s))
        self._runs.give_back(claim, failure.error, wait_s)
        ended_otherwise(claim, "retried", code=failure.error.code, wait_s=wait_s)
        return []

    def _fail(self, claim: Claim, error: JobError, status: RunStatus) -> Runs:
        next_runs = self._runs.fail(claim, error, status)
        ended_otherwise(claim, status.value, code=error.code)
        return next_runs
