"""Rings a worker by sending it a run's id. A ring that is lost costs a moment: the steward rings again."""

from collections.abc import Iterable

import structlog
from celery import Celery

from shared.domain.errors import StorageUnavailable
from shared.domain.ids import RunId, VoiceId
from shared.domain.job import Stage
from shared.observe.calls import sending
from shared.queue.names import ENROL_TASK, UNROUTED, queue_name, task_name
from shared.queue.transport import broker_url, queues, transport_options
from shared.settings import Settings

PATIENCE_S = 2.0  # a request must not hang on a broker that is away
# A message says no more than "something is due in this stage", so more of them than there may ever be hands to take
# them are of no use: the backlog stays in the ledger, and Redis stays small.
QUEUE_DEPTH = 64

log = structlog.get_logger(__name__)


class CeleryDoorbell:
    """Sends tasks by name: imports no worker code."""

    def __init__(self, settings: Settings) -> None:
        self._app = Celery("vibeinsight-doorbell", broker=broker_url(settings), set_as_current=False)
        self._app.conf.update(
            task_queues=queues(),
            task_default_queue=UNROUTED,
            task_create_missing_queues=False,  # a typo raises at the send
            task_ignore_result=True,
            task_serializer="json",
            broker_connection_timeout=PATIENCE_S,
            broker_transport_options=transport_options()
            | {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S},
            # One more try mends a pooled connection that Redis closed meanwhile; then the steward has it.
            task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_max": 0.2},
        )

    def ring(self, runs: Iterable[tuple[Stage, RunId]]) -> int:
        """How many were announced: none where enough messages wait; stops at the first that could not be."""
        rung = 0
        by_stage: dict[Stage, list[RunId]] = {}
        for stage, run_id in runs:
            by_stage.setdefault(stage, []).append(run_id)
        try:
            for stage, run_ids in by_stage.items():
                for run_id in run_ids[: max(0, QUEUE_DEPTH - self._length(stage))]:
                    with sending(queue_name(stage)):
                        self._app.send_task(task_name(stage), kwargs={"run_id": run_id}, queue=queue_name(stage))
                    rung += 1
        except Exception as error:  # whatever the broker's client raises: the row is safe in the ledger
            log.warning("doorbell.silent", error=type(error).__name__)
        return rung

    def ring_voices(self, voices: Iterable[VoiceId]) -> int:
        """Samples that wait to be listened to. A ring that is lost is rung again by the steward, as with runs."""
        rung = 0
        try:
            for voice_id in voices:
                self._app.send_task(ENROL_TASK, kwargs={"voice_id": voice_id}, queue=queue_name(Stage.DIARIZE))
                rung += 1
        except Exception as error:
            log.warning("doorbell.silent", error=type(error).__name__)
        return rung

    def ping(self) -> None:
        """Raises StorageUnavailable when the broker does not answer."""
        try:
            with self._app.pool.acquire(block=True, timeout=PATIENCE_S) as connection:
                connection.default_channel.client.ping()
        except Exception as error:
            raise StorageUnavailable("The broker does not answer; jobs wait in the ledger until it does") from error

    def waiting(self, stage: Stage) -> int:
        """Messages that nobody has taken yet; 0 when the broker is away, since then nothing waits there for us."""
        try:
            return self._length(stage)
        except Exception as error:
            log.warning("doorbell.unreachable", error=type(error).__name__)
            return 0

    def _length(self, stage: Stage) -> int:
        with self._app.pool.acquire(block=True, timeout=PATIENCE_S) as connection:
            return int(connection.default_channel.client.llen(queue_name(stage)))
