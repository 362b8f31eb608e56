"""A job's progress rows as they come. A notification is only a hint to look: the rows are read from the table."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import structlog
from anyio.to_thread import run_sync

from shared.domain.errors import StorageUnavailable
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import ProgressStatus
from shared.domain.progress import ProgressRow
from shared.store.ledger import Ledger
from shared.store.listen import ProgressBell

LAST_WORDS = frozenset(
    {
        ProgressStatus.COMPLETED,
        ProgressStatus.COMPLETED_WITH_WARNINGS,
        ProgressStatus.ERROR,
        ProgressStatus.CANCELLED,
    }
)

log = structlog.get_logger(__name__)


async def follow(
    ledger: Ledger, bell: ProgressBell, owner: OwnerId, job_id: JobId, *, after: int
) -> AsyncIterator[ProgressRow]:
    """Rows behind version `after`, up to the one that ends the job. Ends early when the database is away: who follows
    comes back with the last version seen.
    """
    async with aclosing(bell.wakes(job_id)) as wakes:
        async for _ in wakes:
            try:
                rows = await run_sync(ledger.progress_since, owner, job_id, after)
            except StorageUnavailable as error:
                log.warning("event_stream_cut", error=error.message)
                return
            for row in rows:
                yield row
                after = row.version
            if rows and rows[-1].status in LAST_WORDS:
                return
