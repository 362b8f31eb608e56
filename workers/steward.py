"""The only loop: takes back what was lost, ends what cannot be done, rings what is due. Two may run at once."""

import signal
import threading
import time

import structlog

from shared.domain.errors import StorageUnavailable
from shared.observe.logs import set_up_logs
from shared.queue.doorbell import CeleryDoorbell
from shared.settings import Settings, load_settings
from shared.store.flow import Runs
from shared.store.ledger import Ledger
from shared.store.sweep import Sweep
from workers import health
from workers.rules import PipelineRules
from workers.specs import max_attempts

# A ring is not repeated while this many messages wait in the stage's queue: then it is not lost, it waits its turn.
# So a backlog stays in the ledger, and Redis stays small.
QUEUE_DEPTH = 64

log = structlog.get_logger(__name__)


class Steward:
    def __init__(self, sweep: Sweep, doorbell: CeleryDoorbell, rering_s: float) -> None:
        self._sweep, self._doorbell, self._rering_s = sweep, doorbell, rering_s
        self.looked_at = time.monotonic()

    def run(self, stop: threading.Event, interval_s: float) -> None:
        while not stop.wait(interval_s):
            try:
                self.look()
            except StorageUnavailable:
                log.warning("steward.no_database")
            except Exception:
                log.exception("steward.failed")  # the next second may do better; nobody else does this work

    def look(self) -> None:
        """One round."""
        for stage, run_id in self._sweep.requeue_expired():
            log.warning("run.requeued", stage=stage.value, run_id=run_id)
        buried, ring = self._sweep.bury_poison()
        for run_id in buried:
            log.error("run.buried", run_id=run_id)
        self._doorbell.ring(ring + self._sweep.repair())
        for stage in self._sweep.due_stages():
            room = QUEUE_DEPTH - self._doorbell.waiting(stage)
            if room > 0:
                self._ring(self._sweep.take_due(stage, room, self._rering_s))
        self.looked_at = time.monotonic()

    def _ring(self, runs: Runs) -> None:
        rung = self._doorbell.ring(runs)
        if rung < len(runs):
            self._sweep.not_rung(runs[rung:])


def steward(settings: Settings) -> tuple[Steward, Sweep]:
    database = Ledger.connect(settings).database
    sweep = Sweep(database, PipelineRules(settings.transcribe_processes), max_attempts(settings))
    return Steward(sweep, CeleryDoorbell(settings), settings.rering_s), sweep


def main() -> None:
    settings = load_settings()
    set_up_logs(settings.log_level)
    keeper, sweep = steward(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: stop.set())
    health.serve_steward(settings, keeper, sweep)
    log.info("steward.ready")
    keeper.run(stop, settings.steward_interval_s)
