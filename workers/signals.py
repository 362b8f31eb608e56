"""Celery's signals: what happens around tasks, in the worker's main process and in its children."""

from typing import Any

import structlog
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from billiard.process import current_process
from celery import signals

from shared.domain.errors import StorageUnavailable
from shared.domain.job import Stage
from shared.observe.metrics import CHILDREN_LOST
from shared.observe.service import begin_service
from shared.observe.slots import take_slot
from shared.observe.traces import set_up_traces, shut_down_traces
from shared.queue.names import queue_name
from shared.settings import load_settings
from shared.store.runs import RunLedger
from workers import health, process
from workers.rules import PipelineRules
from workers.workdir import remove_abandoned

log = structlog.get_logger(__name__)


def our_logs(**_: Any) -> None:
    """With a receiver here, Celery leaves logging alone."""
    begin_service("worker", load_settings())


def new_child(**_: Any) -> None:
    """It counts where the child before it in the same place has counted."""
    process.after_fork()
    take_slot(f"child{current_process().index}")
    set_up_traces("worker")


def child_ends(**_: Any) -> None:
    shut_down_traces()


def ready(sender: Any, **_: Any) -> None:
    remove_abandoned()
    settings, tools = load_settings(), process.toolbox()
    consumed = {queue.name for queue in sender.task_consumer.queues}
    stages = [stage for stage in Stage if queue_name(stage) in consumed]
    health.serve_worker(settings, stages, tools.ledger.database, tools.doorbell)
    log.info("worker.ready", stages=[stage.value for stage in stages])


def child_lost(task_id: str, exception: BaseException, **_: Any) -> None:
    """In the main process: a child died or was killed at its time limit. Its lease need not run out first."""
    if not isinstance(exception, WorkerLostError | TimeLimitExceeded):
        return
    CHILDREN_LOST.inc()
    settings = load_settings()
    runs = RunLedger(process.toolbox().ledger.database, PipelineRules(settings.transcribe_processes))
    try:
        log.warning("child.lost", message_id=task_id, released=runs.release_message(task_id))
    except StorageUnavailable:
        log.warning("child.lost", message_id=task_id, released=0)  # the lease runs out by itself
    remove_abandoned()


signals.setup_logging.connect(our_logs)
signals.worker_process_init.connect(new_child)
signals.worker_process_shutdown.connect(child_ends)
signals.worker_ready.connect(ready)
signals.task_failure.connect(child_lost)
