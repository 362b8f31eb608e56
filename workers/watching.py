"""What is seen of one attempt at a run: its log lines, its span in the job's trace, its counts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from opentelemetry.trace import SpanKind

from shared.observe import metrics
from shared.observe.logs import bound
from shared.observe.traces import happened, span, within
from shared.queue.names import queue_name
from shared.store.runs import Claim, Finished
from workers.pulse import PULSE

log = structlog.get_logger(__name__)


@contextmanager
def watched(claim: Claim, message_id: str, began_ns: int) -> Iterator[None]:
    """Around everything that is done for a claim. An attempt after the first links to the one before it."""
    run, job = claim.run, claim.job
    PULSE.beat()
    metrics.CLAIMS.labels(run.stage.value, "claimed").inc()
    names = {"job_id": job.id, "run_id": run.id, "owner_id": job.owner_id, "session_id": _session(claim)}
    about = {
        "messaging.system": "redis",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": queue_name(run.stage),
        "messaging.message.id": message_id,
        "vibeinsight.job.id": job.id,
        "vibeinsight.run.id": run.id,
        "vibeinsight.stage": run.stage.value,
        "vibeinsight.shard": run.shard,
        "vibeinsight.attempt": run.attempt,
    }
    with (
        within(claim.traceparent),
        bound(**names, stage=run.stage.value, shard=run.shard, attempt=run.attempt),
        span(
            f"process {run.stage}",
            kind=SpanKind.CONSUMER,
            attributes=about,
            links=(claim.led_here,) if claim.led_here != claim.traceparent else (),
            began_ns=began_ns,
        ),
    ):
        with span("claim", attributes={"vibeinsight.attempt": run.attempt}, began_ns=began_ns):
            pass  # it is over: only now is it known to which trace it belongs
        yield


def not_due(run_id: str) -> None:
    """A copy of a message, or one that came too early. Which stage's is not known without asking the ledger."""
    PULSE.beat()
    metrics.CLAIMS.labels("", "not_due").inc()
    log.info("run.not_due", run_id=run_id)


def finished_well(claim: Claim, done: Finished) -> None:
    """After the commit."""
    stage = claim.run.stage.value
    metrics.RUNS_ENDED.labels(stage, "cached" if done.from_cache else "done").inc()
    metrics.ATTEMPTS.labels(stage).observe(claim.run.attempt)
    if done.from_cache:
        happened("cached")
        return
    took_s = time.monotonic() - claim.claimed_at
    metrics.STAGE_SECONDS.labels(stage).observe(took_s)
    audio_s = done.facts.audio_s or claim.audio_s
    if audio_s:
        metrics.REAL_TIME_FACTOR.labels(stage).observe(took_s / audio_s)


def ended_otherwise(claim: Claim, outcome: str, *, code: str = "", wait_s: float = 0.0) -> None:
    """retried, held, failed, dead or stopped."""
    metrics.RUNS_ENDED.labels(claim.run.stage.value, outcome).inc()
    happened(outcome, code=code, wait_s=round(wait_s, 3), attempt=claim.run.attempt)


def _session(claim: Claim) -> str | None:
    """The caller's own name for the job, where it gave one that is a name and not a document."""
    given = claim.job.session_id
    return given if given != claim.job.id and len(given) <= 64 else None
