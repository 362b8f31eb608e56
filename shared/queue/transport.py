"""How we talk to Redis through kombu, the same for who rings and for who answers."""

import socket
from typing import Any

from kombu.entity import Queue

from shared.domain.errors import SetupError
from shared.domain.job import Stage
from shared.queue.names import UNROUTED, queue_name
from shared.settings import Settings

# Redis hands a message out again after this long. The shortest value of all programs on one Redis wins, so it is the
# same for all; it must exceed the hard limit of 270 s by far. Recovery does not wait for it: that is the lease's work.
VISIBILITY_TIMEOUT_S = 3600
CONNECT_TIMEOUT_S = 5
SOCKET_TIMEOUT_S = 30  # a silent partition otherwise hangs for ever
KEEPALIVE_IDLE_S = 30
HEALTH_CHECK_S = 25


def broker_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise SetupError("No broker is configured; set VIBEINSIGHT_REDIS_URL or run `vibeinsight up`")
    return settings.redis_url.get_secret_value()


def queues() -> list[Queue]:
    return [Queue(name) for name in (*map(queue_name, Stage), UNROUTED)]  # type: ignore[no-untyped-call]


def transport_options() -> dict[str, Any]:
    return {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_keepalive": True,
        "socket_keepalive_options": {socket.TCP_KEEPIDLE: KEEPALIVE_IDLE_S},
        "retry_on_timeout": True,
        "health_check_interval": HEALTH_CHECK_S,
    }
