"""One connection to the database listens for all open event streams, and wakes those whose job has moved.

A notification is a hint, never the news itself: a stream reads its rows from the table, and looks there by itself every
few seconds. So a pooler that swallows LISTEN, or a connection that breaks, costs a moment and loses nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import anyio
import structlog
from anyio.to_thread import run_sync

from shared.domain.errors import NotFound, StorageUnavailable
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import ProgressStatus
from shared.domain.progress import ProgressRow
from shared.store.ledger import Ledger

LOOK_EVERY_S = 2.0  # how late a step may be seen without notifications
LISTEN_AGAIN_S = 1.0, 30.0  # the first and the longest pause before listening again

LAST_WORDS = frozenset(
    {
        ProgressStatus.COMPLETED,
        ProgressStatus.COMPLETED_WITH_WARNINGS,
        ProgressStatus.ERROR,
        ProgressStatus.CANCELLED,
    }
)

log = structlog.get_logger(__name__)

Listen = Callable[[], AsyncIterator[tuple[JobId, int]]]


class ProgressHub:
    """Lives on the event loop; not for threads."""

    def __init__(self, listen: Listen) -> None:
        self._listen = listen
        self._waiting: defaultdict[JobId, set[asyncio.Event]] = defaultdict(set)

    async def run(self) -> None:
        """For as long as the process lives."""
        shortest, longest = LISTEN_AGAIN_S
        pause = shortest
        while True:
            try:
                async for job_id, _ in self._listen():
                    pause = shortest
                    self._wake(job_id)
            except Exception as error:
                log.warning("progress_listen_broken", error=type(error).__name__, again_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    def _wake(self, job_id: JobId) -> None:
        for news in self._waiting.get(job_id, ()):
            news.set()

    @contextmanager
    def news_of(self, job_id: JobId) -> Iterator[asyncio.Event]:
        """An event that is set whenever the job has moved."""
        news = asyncio.Event()
        self._waiting[job_id].add(news)
        try:
            yield news
        finally:
            self._waiting[job_id].discard(news)
            if not self._waiting[job_id]:
                del self._waiting[job_id]


async def follow(
    ledger: Ledger, hub: ProgressHub, owner: OwnerId, job_id: JobId, *, after: int
) -> AsyncIterator[ProgressRow]:
    """The job's rows behind version `after`, as they come, up to its end. Ends early when the database is away."""
    with hub.news_of(job_id) as news:
        while True:
            news.clear()  # before the look: what comes during it is not missed
            try:
                rows = await run_sync(ledger.progress_since, owner, job_id, after)
            except (StorageUnavailable, NotFound) as error:
                log.warning("event_stream_cut", error=error.code)
                return
            for row in rows:
                yield row
                after = row.version
            if rows and rows[-1].status in LAST_WORDS:
                return
            with anyio.move_on_after(LOOK_EVERY_S):
                await news.wait()
