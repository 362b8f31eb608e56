"""The Celery application. Celery carries run ids to processes; it keeps no state, retries nothing, returns nothing."""

from celery import Celery

from shared.queue.names import UNROUTED
from shared.queue.transport import VISIBILITY_TIMEOUT_S, broker_url, queues, transport_options
from shared.settings import Settings, load_settings
from workers import broker

TASKS = [f"workers.{stage}" for stage in ("download", "preprocess", "transcribe", "diarize", "analyze", "synthesize")]
SOFT_SHUTDOWN_S = 280  # after SIGQUIT: longer than the hard limit, shorter than the 300 s a platform gives


def make_app(settings: Settings) -> Celery:
    broker.mend()
    app = Celery("vibeinsight", broker=broker_url(settings), include=[*TASKS, "workers.enrol", "workers.signals"])
    app.conf.update(
        # -- delivery: a copy of a message is dropped by the claim, so late acknowledgement costs nothing
        task_acks_late=True,  # a worker that dies whole leaves its messages to others
        task_reject_on_worker_lost=False,  # True brings a poisoned message back for ever; the lease bounds the tries
        task_acks_on_failure=True,  # tries are the ledger's business
        task_acks_on_timeout=True,
        worker_prefetch_multiplier=1,  # nothing waits behind a long task while another process is idle
        worker_cancel_long_running_tasks_on_connection_loss=False,  # finish paid work; the copy is dropped
        visibility_timeout=VISIBILITY_TIMEOUT_S,
        broker_transport_options=transport_options()
        | {
            "unacked_restore_interval": 10,  # a dead worker's messages come back after seconds, not after 100
            "unacked_restore_throttle": 1,  # one cheap look each time; right for prefork
        },
        result_backend_transport_options={"visibility_timeout": VISIBILITY_TIMEOUT_S},
        # -- results: nobody waits for one; the row in the ledger is the state
        result_backend=None,
        task_ignore_result=True,
        # -- messages: an id, as JSON; never pickle
        task_serializer="json",
        accept_content=["json"],
        enable_utc=True,
        timezone="UTC",
        # -- queues: one a stage, and no other by accident
        task_queues=queues(),
        task_default_queue=UNROUTED,
        task_create_missing_queues=False,
        # -- limits: no task is longer than a deploy's grace of 300 s
        task_soft_time_limit=settings.soft_limit_s,  # the stage is given back with a time-out
        task_time_limit=settings.hard_limit_s,  # the process is killed; the lease brings the stage back
        worker_soft_shutdown_timeout=SOFT_SHUTDOWN_S,
        worker_enable_soft_shutdown_on_idle=False,  # only needed with ETA messages, and we send none
        worker_eta_task_limit=100,  # a guard: none are sent
        # -- processes
        worker_pool="prefork",  # the only pool with soft and hard limits
        worker_max_tasks_per_child=200,  # codecs and model runtimes leak a little
        worker_hijack_root_logger=False,  # our logs are set up by us
        worker_redirect_stdouts=False,
        # -- the broker may be away for as long as it likes
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # -- watching: events cost a fifth more CPU a task, so they flow only under `-E`
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_enable_remote_control=True,  # Flower asks the workers by it
    )
    return app


app = make_app(load_settings())
