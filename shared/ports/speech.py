"""Ports to the speech models. Audio is a path to 16 kHz mono FLAC; times are seconds from its start."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.domain.audio import LanguageGuess, Span
from shared.domain.transcript import Diarization, Provenance, Word
from shared.ports.tick import Tick

Samples = NDArray[np.float32]  # mono, -1..1


class VoiceActivity(Protocol):
    def probabilities(self, blocks: Iterator[Samples]) -> Iterator[float]:
        """Probability of speech for each 512 samples at 16 kHz (32 ms), in order. Constant memory.

        Each array holds a whole number of such blocks (the last one may be short): many at once cost less,
        one at a time answers at once.
        """
        ...


@dataclass(frozen=True, slots=True)
class Recognised:
    """Words relative to the start of the audio given, and what is known of them."""

    words: tuple[Word, ...]
    language: LanguageGuess | None
    dropped: int


class Transcriber(Protocol):
    @property
    def provenance(self) -> Provenance:
        """Engine, model and the parameters that change its output: part of the cache key."""
        ...

    def detect_language(self, audio: Path, speech: Sequence[Span]) -> LanguageGuess | None:
        """The language spoken, judged on `speech` alone; None where the provider finds out by itself."""
        ...

    def transcribe(
        self, audio: Path, *, speech: Sequence[Span], language: str | None, tick: Tick, terms: Sequence[str] = ()
    ) -> Recognised:
        """`terms`: names and words that may be said; they lead recognition where the engine can be led."""
        ...


class Diarizer(Protocol):
    @property
    def provenance(self) -> Provenance: ...

    def diarize(self, audio: Path, *, speakers: int | None, tick: Tick) -> Diarization:
        """`speakers` None: estimate. No speech gives a Diarization without turns."""
        ...


class SpeakerEmbedder(Protocol):
    @property
    def model(self) -> str: ...

    def embed(self, samples: Samples) -> tuple[float, ...]:
        """Unit vector of one voice; at least 0.3 s."""
        ...
