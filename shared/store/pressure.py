"""Whether new work can begin soon: when too much waits at the entry, submitting is refused instead of piling up.

Looked at once a second at most, in each process. What was refused at the upper mark is let in again below the lower
one, so that the edge does not flutter. Bulk work is refused earlier than what somebody waits for.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import structlog
from sqlalchemy import Connection, text

from shared.domain.errors import Overloaded
from shared.domain.job import Priority
from shared.settings import Settings

LOOKED_AT_FOR_S = 1.0
THROUGHPUT_S = 300  # what the entry has taken lately says how fast the line moves
LET_IN_AGAIN = 0.7  # of the upper mark
SOONEST_S, LATEST_S = 5.0, 900.0  # of a Retry-After

# The entry is download: everything later waits for a job that has begun.
_ENTRY = text("""
SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(not_before)), 0) AS oldest_s,
    (SELECT count(*) FROM stage_runs WHERE stage = 'download' AND work_s IS NOT NULL
        AND finished_at > now() - make_interval(secs => :lately)) AS begun
FROM stage_runs WHERE stage = 'download' AND status = 'queued' AND ready
""")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """What waits to begin, how long the first of it has waited, and how much began a second lately."""

    waiting: int
    oldest_s: float
    begun_per_s: float


@dataclass
class Pressure:
    settings: Settings
    clock: Callable[[], float] = time.monotonic
    _entry: Entry | None = None
    _looked_at: float = 0.0
    _refusing: dict[Priority, bool] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def check(self, connection: Connection, priority: Priority) -> None:
        """Raises Overloaded."""
        with self._lock:
            entry = self._look(connection)
            refuse = self._refuses(priority, entry)
        if refuse:
            wait_s = retry_after_s(entry, self._mark(priority)[0])
            raise Overloaded(
                f"{entry.waiting} jobs wait to begin, the first for {entry.oldest_s:.0f} s;"
                f" nothing was taken, try again in {wait_s:.0f} s",
                waiting=entry.waiting,
                oldest_s=round(entry.oldest_s, 1),
                retry_after_s=wait_s,
            )

    def _look(self, connection: Connection) -> Entry:
        now = self.clock()
        if self._entry is None or now - self._looked_at >= LOOKED_AT_FOR_S:
            row = connection.execute(_ENTRY, {"lately": THROUGHPUT_S}).one()
            self._entry, self._looked_at = Entry(row.waiting, float(row.oldest_s), row.begun / THROUGHPUT_S), now
        return self._entry

    def _mark(self, priority: Priority) -> tuple[float, float]:
        """Jobs and seconds that may wait."""
        share = self.settings.busy_bulk_share if priority is Priority.BULK else 1.0
        return self.settings.busy_jobs * share, self.settings.busy_wait_s * share

    def _refuses(self, priority: Priority, entry: Entry) -> bool:
        jobs, wait_s = self._mark(priority)
        factor = LET_IN_AGAIN if self._refusing.get(priority) else 1.0
        refuse = entry.waiting > jobs * factor or entry.oldest_s > wait_s * factor
        if refuse != self._refusing.get(priority, False):
            log.warning(
                "submit.overloaded" if refuse else "submit.open_again", priority=priority, waiting=entry.waiting
            )
            self._refusing[priority] = refuse
        return refuse


def retry_after_s(entry: Entry, mark: float) -> float:
    """Until the line is short enough again, at the speed it has had; without one, a guess in the middle."""
    if not entry.begun_per_s:
        return 60.0
    too_many = max(1.0, entry.waiting - mark * LET_IN_AGAIN)
    return min(LATEST_S, max(SOONEST_S, too_many / entry.begun_per_s))
