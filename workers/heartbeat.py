"""A thread beside the work: renews the lease, learns of a cancel, reports progress. On its own connection."""

import contextvars
import threading
import time
from collections.abc import Callable
from types import TracebackType

import structlog

from pipelines.progress import cost_of
from shared.domain.errors import Cancelled, Fenced, StorageUnavailable
from shared.store.runs import Claim, Hold, RunLedger
from workers.pulse import PULSE

LOOK_S = 1.0  # how late a cancel is seen; a progress row a second is the most there may be
LONGEST_REPORT_S = 5.0  # a report costs six times a look, and what takes minutes is told of often enough
REPORT_GROWTH = 1.5  # from one report to the next: 1, 1.5, 2.25 … seconds
FIRST_REPORT_S = 0.2  # what is over by then is told of by its commit
GRACE_S = 2.0  # a window of recognition takes a second: work that has not stopped by then is stuck, or cannot be told
AHEAD = 0.9  # of what is left of a run may be shown as done before its work says so
JOIN_S = 10.0  # longer than one transaction takes; the thread is a daemon and cannot hold up the process

log = structlog.get_logger(__name__)


class Heartbeat:
    """`with Heartbeat(...) as beat:` the lease is held; `beat.tick(done_s)` is the work's Tick."""

    def __init__(
        self,
        runs: RunLedger,
        claim: Claim,
        *,
        lease_s: float,
        beat_s: float,
        leave: Callable[[Claim], object] | None = None,
    ) -> None:
        self._runs, self._claim = runs, claim
        self._lease_s, self._beat_s = lease_s, beat_s
        self._leave = leave  # ends this process: for work that does not stop by itself
        self._cost = cost_of(claim.run.stage, claim.costs, claim.audio_s or 0.0)
        self._hold = Hold.HELD
        self._done_s, self._ticked_at = 0.0, time.monotonic()
        self._saving = False
        self._told: tuple[float, bool] | None = None
        self._report_at, self._report_every_s = 0.0, LOOK_S
        self._stop = threading.Event()
        seen_as = contextvars.copy_context()  # its log lines and its reports belong to this attempt
        self._thread = threading.Thread(target=seen_as.run, args=(self._run,), name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(JOIN_S)

    def tick(self, done_s: float) -> None:
        if done_s > self._done_s:
            self._done_s, self._ticked_at = done_s, time.monotonic()
        self.check()

    def saving(self) -> None:
        """The work is done and is being put away."""
        self._saving = True
        self.check()

    def check(self) -> None:
        """Raises when this run is no longer ours."""
        if self._hold is Hold.CANCELLED:
            raise Cancelled(f"Job {self._claim.job.id} was cancelled")
        if self._hold is Hold.LOST:
            raise Fenced(f"Run {self._claim.run.id} belongs to another worker")

    def _run(self) -> None:
        next_beat = time.monotonic() + self._beat_s
        if self._stop.wait(min(FIRST_REPORT_S, self._beat_s)):
            return
        while self._hold is Hold.HELD:
            self._guarded(self._report_when_due)
            if self._stop.wait(min(LOOK_S, self._beat_s)):
                return
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + self._beat_s
                self._guarded(self._beat)
            else:
                self._guarded(self._look)
        if not self._stop.wait(GRACE_S) and self._leave is not None:
            log.warning("run.stuck", reason=self._hold.value)
            self._leave(self._claim)

    def _look(self) -> None:
        self._hold = self._runs.look(self._claim)

    def _beat(self) -> None:
        self._hold = self._runs.beat(self._claim, self._lease_s)

    def _report_when_due(self) -> None:
        saving_untold = self._saving and self._told is not None and not self._told[1]
        if time.monotonic() >= self._report_at or saving_untold:
            self._report_at = time.monotonic() + self._report_every_s
            self._report_every_s = min(LONGEST_REPORT_S, self._report_every_s * REPORT_GROWTH)
            self._report()

    def _report(self) -> None:
        now = (round(self._likely_s(), 1), self._saving)
        if now != self._told:
            self._runs.report(self._claim, now[0], wait=self._told is None, saving=self._saving)
            self._told = now

    def _likely_s(self) -> float:
        """Seconds of audio done by now: between two ticks the work goes on at the pace that it usually has."""
        left_s = max(0.0, (self._claim.audio_s or 0.0) - self._done_s)
        since_s = time.monotonic() - self._ticked_at
        return self._done_s + min(since_s / self._cost, AHEAD * left_s)

    def _guarded(self, act: Callable[[], None]) -> None:
        """A database that is away for a moment does not end the work: at the end the fence decides."""
        PULSE.beat()
        try:
            act()
        except StorageUnavailable:
            log.warning("heartbeat.missed")
        except Exception:
            log.exception("heartbeat.failed")
