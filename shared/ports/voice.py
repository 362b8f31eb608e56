"""Port to speech synthesis."""

from dataclasses import dataclass
from typing import Protocol

from shared.ports.speech import Samples


@dataclass(frozen=True, slots=True)
class Speech:
    samples: Samples
    sample_rate_hz: int
    engine: str


class Synthesizer(Protocol):
    def speak(self, text: str, language: str) -> Speech:
        """`language` is ISO 639-1. Raises SetupError when no voice for it is installed."""
        ...
