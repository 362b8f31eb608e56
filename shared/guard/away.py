"""Redis as a helper that may be away: asked with short time-outs, and after a failure left alone for some seconds.

Limits are there to protect the service; a helper of theirs that is away must not become the outage.
"""

import threading
import time
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, TypeVar

import structlog

from shared.domain.errors import SetupError
from shared.settings import Settings

T = TypeVar("T")
ANSWER_S = 0.5  # a script takes well under a millisecond; longer is a Redis that hangs
LEFT_ALONE_S = 5.0  # so that an outage costs one slow request in five seconds, not every one
_HOW: dict[str, Any] = {"socket_timeout": ANSWER_S, "socket_connect_timeout": ANSWER_S, "decode_responses": True}

log = structlog.get_logger(__name__)


class SharedMemory:
    """`ask` gives None when Redis is away."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._away_until = 0.0
        self._lock = threading.Lock()

    def ask(self, what: str, question: Callable[[Any], T]) -> T | None:
        import redis

        if self._clock() < self._away_until:
            return None
        try:
            return question(self.client)
        except redis.RedisError as error:
            self._left_alone(what, error)
            return None

    async def ask_async(self, what: str, question: Callable[[Any], Awaitable[T]]) -> T | None:
        """As `ask`, on the event loop."""
        import redis

        if self._clock() < self._away_until:
            return None
        try:
            return await question(self.async_client)
        except (redis.RedisError, OSError) as error:
            self._left_alone(what, error)
            return None

    @cached_property
    def client(self) -> Any:
        import redis

        return redis.Redis.from_url(self._url(), **_HOW)

    @cached_property
    def async_client(self) -> Any:
        """Belongs to the loop that asks first."""
        import redis.asyncio

        return redis.asyncio.Redis.from_url(self._url(), **_HOW)

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    async def close_async(self) -> None:
        if "async_client" in self.__dict__:
            await self.async_client.aclose()

    def _url(self) -> str:
        if self._settings.redis_url is None:
            raise SetupError("No Redis is configured; set VIBEINSIGHT_REDIS_URL or run `vibeinsight up`")
        return self._settings.redis_url.get_secret_value()

    def _left_alone(self, what: str, error: Exception) -> None:
        with self._lock:
            if self._clock() < self._away_until:
                return
            self._away_until = self._clock() + LEFT_ALONE_S
        log.warning("limits.redis_away", what=what, error=type(error).__name__, open_for_s=LEFT_ALONE_S)
