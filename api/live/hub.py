"""Between one LISTEN connection and all sockets of this process: each row is read once, by its key, and handed on.

A notification is a hint: what is read are the versions between the last one known of the job and the one that was told.
After a pause in listening, whatever is newer than the last sign of life is read once.
"""

import asyncio
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from anyio.to_thread import run_sync

from api.live.channel import Channel
from api.live.places import Places
from shared.domain.errors import StorageUnavailable
from shared.store.feed import FeedRow, ProgressFeed

KNOWN_JOBS = 50_000  # whose last version is remembered: 8 MB; of older ones a row might be told twice after a pause
AT_A_TIME = 200  # jobs whose rows are read in one go
AGAIN_S = 1.0  # after the database was away
OVERLAP = timedelta(seconds=30)  # clocks that differ, and transactions that took long; nothing is told twice
LOOK_S = 1.0  # how often sockets and tokens are looked at

log = structlog.get_logger(__name__)


class Member(Protocol):
    """A socket, as far as the hub looks after it."""

    def look(self, now: float) -> None: ...

    async def ask_again(self, now: float) -> None: ...


@dataclass
class Hub:
    feed: ProgressFeed
    places: Places
    members: set[Member] = field(default_factory=set)
    _channels: defaultdict[str, set[Channel]] = field(default_factory=lambda: defaultdict(set))
    _known: OrderedDict[str, int] = field(default_factory=OrderedDict)  # by job: the last version that was told
    _due: dict[str, tuple[int, int]] = field(default_factory=dict)  # by job: read after the first, up to the second
    _missed_since: datetime | None = None
    _heard_at: datetime | None = None
    _rung: asyncio.Event = field(default_factory=asyncio.Event)

    def ring(self, payload: str | None) -> None:
        """For `ProgressBell.tell`."""
        now = datetime.now(UTC)
        if payload is None:
            if self._heard_at is not None:
                self._missed_since = self._missed_since or self._heard_at - OVERLAP
        else:
            self._note(payload)
        self._heard_at = now
        self._rung.set()

    def add(self, channel: Channel) -> None:
        for name in _audience(channel):
            self._channels[name].add(channel)

    def remove(self, channel: Channel) -> None:
        for name in _audience(channel):
            self._channels[name].discard(channel)
            if not self._channels[name]:
                del self._channels[name]

    async def run(self) -> None:
        """Until it is cancelled."""
        await asyncio.gather(self._pass_on(), self._look_after(), self._ask_again())

    def _note(self, payload: str) -> None:
        job, _, number = payload.partition(":")
        version = int(number)
        after = self._known.get(job, version - 1)
        if version <= after:
            return
        self._remember(job, version)
        if self._channels:
            self._due[job] = (self._due.get(job, (after, 0))[0], version)

    def _remember(self, job: str, version: int) -> None:
        self._known[job] = version
        self._known.move_to_end(job)
        if len(self._known) > KNOWN_JOBS:
            self._known.popitem(last=False)

    async def _pass_on(self) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            try:
                await self._catch_up()
                await self._read_due()
            except StorageUnavailable as error:
                log.warning("realtime.feed_waits", error=error.message)
                await asyncio.sleep(AGAIN_S)
                self._rung.set()
            except Exception:
                log.exception("realtime.feed_failed")
                await asyncio.sleep(AGAIN_S)

    async def _catch_up(self) -> None:
        since, self._missed_since = self._missed_since, None
        if since is None or not self._channels:
            return
        try:
            rows = await run_sync(self.feed.since, since)
        except StorageUnavailable:
            self._missed_since = since
            raise
        for row in rows:
            self._note(f"{row.job_id}:{row.version}")

    async def _read_due(self) -> None:
        while self._due:
            taken = dict(list(self._due.items())[:AT_A_TIME])
            for row in await run_sync(self.feed.heard, taken):
                self._hand_on(row)
            for job, (_, upto) in taken.items():
                later = self._due.pop(job)
                if later[1] > upto:
                    self._due[job] = (upto, later[1])

    def _hand_on(self, row: FeedRow) -> None:
        found = self._channels.get(row.owner_id, set()) | self._channels.get(row.asked_for or "", set())
        for channel in found:
            channel.hear(row)

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for member in list(self.members):
                member.look(time.time())

    async def _ask_again(self) -> None:
        """Whether keys are still good: one question after the other, whatever the number of sockets."""
        while True:
            await asyncio.sleep(LOOK_S)
            for member in list(self.members):
                try:
                    await member.ask_again(time.time())
                except StorageUnavailable:
                    break  # nobody is cut because the database is away
                except Exception:
                    log.exception("realtime.feed_failed")


def _audience(channel: Channel) -> Iterator[str]:
    yield channel.caller.owner_id
    if channel.caller.user_id is not None and channel.caller.user_id != channel.caller.owner_id:
        yield channel.caller.user_id
