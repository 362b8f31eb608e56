"""The loop of every second: takes back what was lost, ends what cannot be done, rings what is due. Two may run at once.

What has time is done beside it (workers/chores.py).
"""

import signal
import threading
import time

import structlog

from shared.adapters.webhook_sender import WebhookSender
from shared.domain.errors import StorageUnavailable
from shared.observe import metrics
from shared.observe.service import begin_service, end_service
from shared.queue.doorbell import QUEUE_DEPTH, CeleryDoorbell
from shared.settings import Settings, load_settings
from shared.store.chores import ChoreBook
from shared.store.ledger import Ledger
from shared.store.sweep import Sweep
from shared.store.webhook_queue import WebhookQueue
from shared.toolbox import Toolbox
from workers import health
from workers.chores import Chores, chores
from workers.rules import PipelineRules
from workers.specs import max_attempts
from workers.webhooks import Postman

log = structlog.get_logger(__name__)


class Steward:
    def __init__(self, sweep: Sweep, doorbell: CeleryDoorbell) -> None:
        self._sweep, self._doorbell = sweep, doorbell
        self.looked_at = time.monotonic()

    def run(self, stop: threading.Event, interval_s: float) -> None:
        while not stop.wait(interval_s):
            try:
                self.look()
            except StorageUnavailable:
                metrics.ROUND_FAILURES.inc()
                log.warning("steward.no_database")
            except Exception:
                metrics.ROUND_FAILURES.inc()
                log.exception("steward.failed")  # the next second may do better; nobody else does this work

    @metrics.ROUND_SECONDS.time()
    def look(self) -> None:
        """One round."""
        for stage, run_id in self._sweep.requeue_expired():
            metrics.LEASE_EXPIRIES.labels(stage.value).inc()
            log.warning("run.requeued", stage=stage.value, run_id=run_id)
        buried, ring = self._sweep.bury_poison()
        for run_id in buried:
            metrics.BURIED.inc()
            log.error("run.buried", run_id=run_id)
        self._doorbell.ring(ring + self._sweep.repair())
        self._sweep.wake()
        for stage, due in self._sweep.due(QUEUE_DEPTH).items():
            # Any message will do for any run: as many are needed as runs are due, wherever the others have gone.
            missing = due - self._doorbell.waiting(stage)
            if missing > 0:
                self._doorbell.ring(self._sweep.take_due(stage, missing))
        self.looked_at = time.monotonic()


def steward(settings: Settings) -> tuple[Steward, Sweep]:
    database = Ledger.connect(settings).database
    sweep = Sweep(database, PipelineRules(settings.transcribe_processes), max_attempts(settings))
    return Steward(sweep, CeleryDoorbell(settings)), sweep


def main() -> None:
    settings = load_settings()
    begin_service("steward", settings)
    keeper, sweep = steward(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: stop.set())
    health.serve_steward(settings, keeper, sweep.database)
    log.info("steward.ready")
    duties = Chores(ChoreBook(sweep.database), chores(Toolbox(settings)))
    duties.start(stop)
    Postman(WebhookQueue(sweep.database), WebhookSender(settings)).start(stop)
    keeper.run(stop, settings.steward_interval_s)
    duties.join()
    end_service()
