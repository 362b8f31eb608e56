"""Progress as it happens: one LISTEN connection a process, for the API's event streams. Not for workers.

LISTEN needs a session of its own, so behind a transaction pooler the API is given the direct address. Whoever misses a
notification loses nothing: the rows are read from the table by version, and every stream looks again now and then.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable

import psycopg

from shared.settings import Settings
from shared.store.session import CONNECT_TIMEOUT_S, database_url

CHANNEL = "job_progress"
LOOK_AGAIN_S = 5.0  # after this long without a notification a stream reads the table anyway
RECONNECT_S = 1.0


class ProgressBell:
    """Wakes the streams of a job when it has a new row."""

    def __init__(self, settings: Settings) -> None:
        self._url = database_url(settings).replace("postgresql+psycopg://", "postgresql://", 1)
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listeners: list[Callable[[str | None], None]] = []

    def tell(self, listener: Callable[[str | None], None]) -> None:
        """Every notification, as `job:version`, goes to it; None when some may have been missed."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Listens until it is cancelled; connects again when the database went away."""
        while True:
            with contextlib.suppress(psycopg.Error, OSError):
                await self._listen()
            await asyncio.sleep(RECONNECT_S)

    async def wakes(self, job_id: str) -> AsyncGenerator[None, None]:
        """Yields at once, then whenever the rows of the job should be read again."""
        event = asyncio.Event()
        self._waiting[job_id].add(event)
        try:
            while True:
                yield
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), LOOK_AGAIN_S)
                event.clear()
        finally:
            self._forget(job_id, event)

    async def _listen(self) -> None:
        link = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
        async with link:
            await link.execute(f"LISTEN {CHANNEL}")
            self._wake_all()  # what was told while nobody listened
            self._pass_on(None)
            async for told in link.notifies():
                self._pass_on(told.payload)
                job_id = told.payload.partition(":")[0]
                for event in self._waiting.get(job_id, ()):
                    event.set()

    def _pass_on(self, payload: str | None) -> None:
        for listener in self._listeners:
            listener(payload)

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()

    def _forget(self, job_id: str, event: asyncio.Event) -> None:
        self._waiting[job_id].discard(event)
        if not self._waiting[job_id]:
            del self._waiting[job_id]
