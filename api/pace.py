"""Bodies must keep coming: who sends a byte a second would otherwise hold a connection, and a thread, for days."""

import asyncio
import time
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FIRST_S = 20.0  # to begin, and for a body of some kilobytes all there is
LONGEST_S = 60.0  # a phone that changes cells is away for seconds
BYTES_PER_S = 4096  # a tenth of a bad mobile line; the largest recording may then take days, but it does come
NO_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass
class Credit:
    """Seconds that the client may still keep us waiting: bytes earn them, waiting spends them."""

    left_s: float  # at first `body_wait_s`: to begin, and for a body of some kilobytes all there is

    def earned(self, size: int) -> None:
        self.left_s = min(LONGEST_S, self.left_s + size / BYTES_PER_S)


class BodyPace:
    """ASGI middleware. Counts only time in which we wait for the client, not the reverse."""

    def __init__(self, app: ASGIApp, *, first_s: float) -> None:
        self.app, self.first_s = app, first_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in NO_BODY:
            await self.app(scope, receive, send)
            return
        credit, whole = Credit(self.first_s), False

        async def paced() -> Message:
            nonlocal whole
            if whole:  # what comes now is the client's going, for which an event stream waits
                return await receive()
            message = await _within(receive, credit)
            whole = not message.get("more_body", False)
            credit.earned(len(message.get("body", b"")))
            return message

        await self.app(scope, paced, send)


async def _within(receive: Receive, credit: Credit) -> Message:
    began = time.monotonic()
    try:
        async with asyncio.timeout(credit.left_s):
            return await receive()
    except TimeoutError:
        detail = f"The body came too slowly, below {BYTES_PER_S} bytes a second; send it again on a better line."
        raise HTTPException(408, detail) from None
    finally:
        credit.left_s -= time.monotonic() - began
