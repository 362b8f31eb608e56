"""When keys were last used: gathered in memory, written once a minute for all of them, never within a request."""

import asyncio

import structlog
from anyio.to_thread import run_sync

from shared.domain.errors import StorageUnavailable
from shared.store.ledger import Ledger

EVERY_S = 60.0  # how late `last_used_at` may be

log = structlog.get_logger(__name__)


class KeyUse:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._used = ledger, set[str]()

    def note(self, key_id: str | None) -> None:
        """From any thread; costs nothing."""
        if key_id is not None:
            self._used.add(key_id)

    def write(self) -> None:
        """What could not be written is tried again with the next round."""
        used, self._used = self._used, set()
        if not used:
            return
        try:
            self._ledger.note_key_use(used)
        except StorageUnavailable as error:
            self._used |= used
            log.warning("key_use_not_written", error=error.message)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await run_sync(self.write)
