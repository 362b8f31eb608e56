"""Port to the doorbell: it tells a worker that a run is due. Losing a ring costs time, never work."""

from collections.abc import Iterable
from typing import Protocol

from shared.domain.ids import RunId, VoiceId
from shared.domain.job import Stage


class Doorbell(Protocol):
    def ring(self, runs: Iterable[tuple[Stage, RunId]]) -> int:
        """Announce runs; returns how many were announced. Never raises for a broker that is down."""
        ...

    def ring_voices(self, voices: Iterable[VoiceId]) -> int:
        """The same for voices that wait to be listened to."""
        ...

    def ping(self) -> None:
        """Raises StorageUnavailable when the broker does not answer."""
        ...
