"""Celery's signals: what happens around tasks, in the worker's main process and in its children."""

from typing import Any

import structlog
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import signals

from shared.domain.errors import StorageUnavailable
from shared.domain.job import Stage
from shared.observe.logs import set_up_logs
from shared.queue.names import queue_name
from shared.settings import load_settings
from shared.store.runs import RunLedger
from shared.store.sweep import Sweep
from workers import health, process
from workers.rules import PipelineRules
from workers.specs import max_attempts
from workers.workdir import remove_abandoned

log = structlog.get_logger(__name__)


def our_logs(**_: Any) -> None:
    """With a receiver here, Celery leaves logging alone."""
    set_up_logs(load_settings().log_level)


def new_child(**_: Any) -> None:
    process.after_fork()


def ready(sender: Any, **_: Any) -> None:
    remove_abandoned()
    settings = load_settings()
    database = process.toolbox().ledger.database
    sweep = Sweep(database, PipelineRules(settings.transcribe_processes), max_attempts(settings))
    consumed = {queue.name for queue in sender.task_consumer.queues}
    health.serve_worker(settings, [stage for stage in Stage if queue_name(stage) in consumed], sweep)


def child_lost(task_id: str, exception: BaseException, **_: Any) -> None:
    """In the main process: a child died or was killed at its time limit. Its lease need not run out first."""
    if not isinstance(exception, WorkerLostError | TimeLimitExceeded):
        return
    settings = load_settings()
    runs = RunLedger(process.toolbox().ledger.database, PipelineRules(settings.transcribe_processes))
    try:
        log.warning("child.lost", message_id=task_id, released=runs.release_message(task_id))
    except StorageUnavailable:
        log.warning("child.lost", message_id=task_id, released=0)  # the lease runs out by itself
    remove_abandoned()


signals.setup_logging.connect(our_logs)
signals.worker_process_init.connect(new_child)
signals.worker_ready.connect(ready)
signals.task_failure.connect(child_lost)
