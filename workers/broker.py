"""Mends one thing of kombu's Redis transport: a broker that goes away must not take a busy worker along.

When the connection is lost, the old channel is closed, and closing gives unacknowledged messages back to the broker.
A channel whose connection is gone already has nobody to give them to: kombu 5.7 ends that with an AttributeError, which
Celery takes for unrecoverable, and a worker with running children exits. Here they are left: the ledger rings again.
"""

import structlog
from kombu.transport import redis

log = structlog.get_logger(__name__)


class QoS(redis.QoS):
    def restore_unacked_once(self, stderr: object = None) -> None:
        if self.channel.connection is None or self.channel.connection.client is None:
            self._on_collect.cancel()
            log.info("broker.messages_left", messages=len(self._delivered))
            return
        super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call]


def mend() -> None:
    """Channels made from now on use it: `QoS` is kombu's own place for such a class."""
    redis.Channel.QoS = QoS
