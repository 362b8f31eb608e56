"""Rings a worker by sending it a run's id. A ring that is lost costs a moment: the steward rings again."""

from collections.abc import Iterable

import structlog
from celery import Celery

from shared.domain.errors import StorageUnavailable
from shared.domain.ids import RunId
from shared.domain.job import Stage
from shared.queue.names import UNROUTED, queue_name, task_name
from shared.queue.transport import broker_url, queues, transport_options
from shared.settings import Settings

PATIENCE_S = 2.0  # a request must not hang on a broker that is away
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
        """How many were announced; stops at the first that could not be."""
        rung = 0
        try:
            for stage, run_id in runs:
                self._app.send_task(task_name(stage), kwargs={"run_id": run_id}, queue=queue_name(stage))
                rung += 1
        except Exception as error:  # whatever the broker's client raises: the row is safe in the ledger
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
            with self._app.pool.acquire(block=True, timeout=PATIENCE_S) as connection:
                return int(connection.default_channel.client.llen(queue_name(stage)))
        except Exception as error:
            log.warning("doorbell.unreachable", error=type(error).__name__)
            return 0
