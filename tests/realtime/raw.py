"""A socket that says exactly what a test tells it to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.realtime.harness import Api

TOPIC = "realtime:job"
ALL = {"event": "*", "schema": "public", "table": "job_progress"}


@dataclass
class Raw:
    """A socket that says exactly what it is told to."""

    link: ClientConnection

    async def say(self, topic: str, event: str, payload: Any = None, ref: str | None = "1") -> None:
        await self.link.send(json.dumps(["j", ref, topic, event, {} if payload is None else payload]))

    async def hear(self) -> tuple[str, Any]:
        """Event and payload."""
        _, _, _, event, payload = json.loads(await asyncio.wait_for(self.link.recv(), 15))
        return event, payload

    async def join(self, *wanted: Any, topic: str = TOPIC, **more: Any) -> Any:
        await self.say(topic, "phx_join", {"config": {"postgres_changes": list(wanted)}, **more})
        event, payload = await self.hear()
        assert event == "phx_reply"
        return payload

    async def rows(self, count: int) -> list[Any]:
        heard = [await self.hear() for _ in range(count)]
        assert {event for event, _ in heard} <= {"postgres_changes"}
        return [payload for _, payload in heard]

    async def closed(self) -> int:
        """The code with which the server ends it."""
        try:
            while True:
                await asyncio.wait_for(self.link.recv(), 15)
        except ConnectionClosed as ended:
            return ended.rcvd.code if ended.rcvd else 1006


@asynccontextmanager
async def opened(api: Api, key: str | None, vsn: str = "2.0.0", **more: Any) -> AsyncIterator[Raw]:
    query = f"?apikey={key}&vsn={vsn}" if key else ""
    async with connect(api.socket_url + query, **more) as link:
        yield Raw(link)


async def refused(api: Api, key: str | None, **more: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as answer:
        async with opened(api, key, **more):
            pass
    return answer.value.response.status_code, answer.value.response.body.decode()
