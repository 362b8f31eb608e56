"""A small HTTP server in workers and the steward: is this process of use, and what does it count."""

import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from celery.worker import state
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.domain.errors import VibeInsightError
from shared.domain.job import Stage
from shared.settings import Settings
from shared.store.sweep import Sweep

if TYPE_CHECKING:
    from workers.steward import Steward

ROUND_LATE_S = 30.0  # a steward looks every second
IDLE_BESIDE_WORK_S = 120.0  # an idle worker with a run of its own due for this long has stopped listening

Check = Callable[[], str | None]  # None: well; else what is wrong


class LedgerCollector(Collector):
    """The backlog, read from the ledger at each scrape: the figures to alarm and to scale by."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep

    def collect(self) -> Iterable[Metric]:
        runs = GaugeMetricFamily("vibeinsight_runs", "Open stage runs", labels=["stage", "status"])
        oldest = GaugeMetricFamily(
            "vibeinsight_oldest_run_seconds", "Age of the oldest open stage run", labels=["stage", "status"]
        )
        for found in self._sweep.backlog():
            runs.add_metric([found.stage, found.status], found.runs)
            oldest.add_metric([found.stage, found.status], found.oldest_s)
        return [runs, oldest]


def serve_worker(settings: Settings, stages: list[Stage], sweep: Sweep) -> None:
    """Well unless it is idle while its own work has been due for long."""

    def check() -> str | None:
        late_s = 0.0 if state.active_requests else sweep.oldest_due_s(stages)
        return f"idle, although work has been due for {late_s:.0f} s" if late_s > IDLE_BESIDE_WORK_S else None

    _serve(settings, check, [])


def serve_steward(settings: Settings, keeper: "Steward", sweep: Sweep) -> None:
    def check() -> str | None:
        late_s = time.monotonic() - keeper.looked_at
        return f"the last round was {late_s:.0f} s ago" if late_s > ROUND_LATE_S else None

    _serve(settings, check, [LedgerCollector(sweep)])


def _serve(settings: Settings, check: Check, collectors: list[Collector]) -> None:
    """Reachable from the platform's own network, since that is who asks; it tells nothing but numbers."""
    if settings.metrics_port is None:
        return
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)
    server = ThreadingHTTPServer(("0.0.0.0", settings.metrics_port), _handler(check, registry))  # noqa: S104
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()


def _handler(check: Check, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path:
                case "/livez" | "/healthz":
                    self._answer(*_health(check))
                case "/metrics":
                    self._answer(200, generate_latest(registry))
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
    """A database that is away is not mended by restarting us."""
    try:
        trouble = check()
    except VibeInsightError as error:
        return 200, f"ok, but: {error.message}\n".encode()
    return (200, b"ok\n") if trouble is None else (503, f"{trouble}\n".encode())
