"""One socket of the Realtime channel: frames in, frames out, and its end.

What goes out waits in a queue of bounded length. A client that does not read is closed: buffering for it would take
everybody's memory, and when it comes back its joins begin with the rows it missed.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from anyio.to_thread import run_sync
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.live.callers import Caller, identify
from api.live.channel import Channel
from api.live.frames import Frame, NotAFrame, read_binary, read_frame, write_frame
from api.live.hub import Hub
from api.live.places import Place
from shared.domain.errors import Forbidden, Unauthorized
from shared.toolbox import Toolbox

MOST_BYTES = 64 * 1024  # of one message; a join with a long token has a tenth of it
MOST_WAITING = 512  # frames: a quarter of a megabyte
WAIT_S = 30.0  # for a place in the queue, while rows from before are sent
SILENT_S = 75.0  # three heartbeats of 25 s
EMPTY_S = 60.0  # a socket without a channel
UNNAMED_S = 10.0  # one that has not said yet whose it is: clients join as soon as it opens
ASK_AGAIN_S = 60.0  # whether a key is still good: one that is revoked hears nothing after a minute
CLOSE_S = 1.0
NORMAL, GOING_AWAY, UNSUPPORTED, INVALID, POLICY, TOO_BIG, TRY_LATER = 1000, 1001, 1003, 1007, 1008, 1009, 1013

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Socket:
    websocket: WebSocket
    vsn: str
    tools: Toolbox
    hub: Hub
    caller: Caller | None  # of the address; None: an application's public key, and each channel brings its own token
    place: Place
    note: Callable[[str | None], None]  # that a key was used
    channels: dict[str, Channel] = field(default_factory=dict)
    joins: deque[float] = field(default_factory=deque)
    _queue: asyncio.Queue[Frame] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    _ended: asyncio.Future[tuple[int, str]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _heard_at: float = field(default_factory=time.time)
    _joined_at: float = field(default_factory=time.time)
    _asked_at: float = field(default_factory=time.time)

    async def run(self, handle: Callable[[Frame], Awaitable[None]]) -> None:
        """Until either side ends it."""
        tasks = [asyncio.create_task(self._read(handle)), asyncio.create_task(self._write())]
        ends: list[asyncio.Future[Any]] = [*tasks, self._ended]
        self.hub.members.add(self)
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.hub.members.discard(self)
            for channel in self.channels.values():
                self.hub.remove(channel)
            for task in tasks:
                task.cancel()
            failed = [found for found in await asyncio.gather(*tasks, return_exceptions=True) if found is not None]
            self._tell_of(failed)
            await self._close()

    def send(self, frame: Frame) -> None:
        """Now, or never again."""
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self._too_slow()

    async def send_when_possible(self, frame: Frame) -> None:
        """For many at once: waits for who reads slowly, but not for who does not read."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._queue.put(frame)
        except TimeoutError:
            self._too_slow()

    def end(self, code: int, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result((code, reason))

    def drop(self, channel: Channel, why: str) -> None:
        """Its token is not good any more: said in the words that clients know, then closed."""
        self.forget(channel)
        self.send(channel.system("error", why, "system"))
        self.send(Frame(channel.topic, "phx_close", {}, channel.join_ref, channel.join_ref))

    def forget(self, channel: Channel) -> None:
        self.hub.remove(channel)
        if self.channels.get(channel.topic) is channel:
            del self.channels[channel.topic]

    def look(self, now: float) -> None:
        """Once a second."""
        for channel in [channel for channel in self.channels.values() if channel.caller.expired]:
            self.drop(channel, "Token has expired")
        if self.channels:
            self._joined_at = now
        if now - self._heard_at > SILENT_S:
            self.end(GOING_AWAY, "no heartbeat")
        elif now - self._joined_at > (EMPTY_S if self.place.named else UNNAMED_S):
            self.end(GOING_AWAY, "no channel")

    async def ask_again(self, now: float) -> None:
        if now - self._asked_at < ASK_AGAIN_S:
            return
        self._asked_at = now
        keys = {channel.caller.secret for channel in self.channels.values() if channel.caller.key_id is not None}
        for key in keys:
            try:
                await run_sync(identify, self.tools, key)
            except (Unauthorized, Forbidden) as error:
                for channel in [one for one in self.channels.values() if one.caller.secret == key]:
                    self.drop(channel, error.message)

    async def _read(self, handle: Callable[[Frame], Awaitable[None]]) -> None:
        while True:
            message = await self.websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            self._heard_at = time.time()
            text, data = message.get("text"), message.get("bytes")
            if len(text if text is not None else data or b"") > MOST_BYTES:
                self.end(TOO_BIG, f"more than {MOST_BYTES} bytes")
                return
            try:
                frame = read_frame(self.vsn, text) if text is not None else read_binary(self.vsn, data or b"")
            except NotAFrame as error:
                self.end(UNSUPPORTED if text is None else INVALID, f"not a frame of Phoenix {self.vsn}: {error}")
                return
            await handle(frame)

    async def _write(self) -> None:
        with suppress(WebSocketDisconnect):
            while True:
                frame = await self._queue.get()
                await self.websocket.send_text(write_frame(self.vsn, frame))

    async def _close(self) -> None:
        code, reason = self._ended.result() if self._ended.done() else (NORMAL, "")
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):  # it may be closed already
            async with asyncio.timeout(CLOSE_S):
                await self.websocket.close(code, reason)

    def _too_slow(self) -> None:
        if not self._ended.done():
            log.warning("realtime.reader_too_slow", waiting=self._queue.qsize(), channels=len(self.channels))
        self.end(TRY_LATER, "read faster, or come back")

    def _tell_of(self, failed: Sequence[object]) -> None:
        for error in failed:
            if isinstance(error, Exception):
                log.error("realtime.socket_failed", exc_info=error)
                self.end(1011, "a fault of ours")
