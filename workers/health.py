"""A small HTTP server in workers and the steward: is this process of use, and what does it count."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import psutil
import structlog
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.registry import Collector

from shared.domain.errors import StorageUnavailable, VibeInsightError
from shared.domain.job import Stage
from shared.observe.exposition import exposition
from shared.ports.flow import Doorbell
from shared.settings import Settings
from shared.store.backlog import BacklogReader
from shared.store.session import Database
from workers.backlog import LedgerCollector
from workers.pulse import PULSE, Pulse

if TYPE_CHECKING:
    from workers.steward import Steward

ROUND_LATE_S = 30.0  # a steward looks every second

Check = Callable[[], str | None]  # None: well; else what is wrong. Raises what is wrong elsewhere
log = structlog.get_logger(__name__)


@dataclass
class IdleWatch:
    """Notices that work is due and nobody here takes it: children that are frozen, a consumer that lost its broker.

    Nothing due, a paused queue, a wait before another attempt, a broker or a database that does not answer: none of
    these is this worker's fault, and after each of them it has the whole patience again.
    """

    oldest_due_s: Callable[[], float]
    ping_broker: Callable[[], None]
    patience_s: float
    pulse: Pulse = PULSE
    clock: Callable[[], float] = time.monotonic
    _excused_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._excused_at = self.clock()

    def __call__(self) -> str | None:
        try:
            self.ping_broker()
            due_s = self.oldest_due_s()
        except StorageUnavailable:
            self._excused_at = self.clock()
            raise
        if due_s <= 0:
            self._excused_at = self.clock()
        quiet_s = self.clock() - max(self._excused_at, self.pulse.last)
        if min(due_s, quiet_s) <= self.patience_s:
            return None
        return f"nothing claimed for {quiet_s:.0f} s, although work has been due for {due_s:.0f} s{_stopped()}"


def serve_worker(settings: Settings, stages: list[Stage], database: Database, doorbell: Doorbell) -> None:
    """Well unless its own work has been due for long and none of its processes has shown a sign of life."""
    reader = BacklogReader(database)

    def oldest_due_s() -> float:
        return max(reader.oldest_due_s(stages).values(), default=0.0)

    _serve(settings, IdleWatch(oldest_due_s, doorbell.ping, settings.idle_beside_work_s), [])


def serve_steward(settings: Settings, keeper: "Steward", database: Database) -> None:
    def check() -> str | None:
        late_s = time.monotonic() - keeper.looked_at
        return f"the last round was {late_s:.0f} s ago" if late_s > ROUND_LATE_S else None

    _serve(settings, check, [LedgerCollector(BacklogReader(database))])


def _serve(settings: Settings, check: Check, collectors: list[Collector]) -> None:
    """It tells nothing but numbers, and only to whom `metrics_host` lets in."""
    if settings.metrics_port is None:
        return
    own = ProcessCollector(registry=CollectorRegistry())
    server = ThreadingHTTPServer((settings.metrics_host, settings.metrics_port), _handler(check, [own, *collectors]))
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()


def _handler(check: Check, collectors: list[Collector]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path:
                case "/livez" | "/healthz":
                    self._answer(*_health(check))
                case "/metrics":
                    self._answer(200, exposition(*collectors))
                case _:
                    self._answer(404, b"not found\n")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """A line for every scrape says nothing."""

    return Handler


def _health(check: Check) -> tuple[int, bytes]:
    """A database or a broker that is away is not mended by restarting us."""
    try:
        trouble = check()
    except VibeInsightError as error:
        return 200, f"ok, but: {error.message}\n".encode()
    if trouble is None:
        return 200, b"ok\n"
    log.error("health.failed", trouble=trouble)
    return 503, f"{trouble}\n".encode()


def _stopped() -> str:
    """How many of our processes somebody or something has halted."""
    children = psutil.Process().children()
    halted = [child for child in children if _status(child) == psutil.STATUS_STOPPED]
    return f"; {len(halted)} of {len(children)} processes are halted" if halted else ""


def _status(process: psutil.Process) -> str:
    try:
        return process.status()
    except psutil.Error:
        return ""
