"""Words with times, and who said them."""

from dataclasses import dataclass, field
from typing import Any

from shared.domain.audio import LanguageGuess
from shared.domain.ids import SpeakerId


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which engine made a document, so that a reader can judge and a cache can tell."""

    provider: str
    model: str
    version: str
    parameters: dict[str, Any] = field(default_factory=dict)
    prompt_version: str | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word. `text` keeps the leading space of its script: joining words gives the text."""

    start_s: float
    end_s: float
    text: str
    probability: float  # 0..1
    heard: str | None = None  # what was recognised, where a glossary's term has taken its place


@dataclass(frozen=True, slots=True)
class Transcription:
    """The transcribe stage's document for one shard: words on the recording's time line, ascending by start."""

    shard: int
    channel: int | None
    language: LanguageGuess | None
    words: tuple[Word, ...]
    dropped: int  # words refused as invented: in silence, or looping
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    start_s: float
    end_s: float
    speaker: SpeakerId

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Diarization:
    """The diarize stage's document: who spoke when.

    `turns` are overlap-aware (two people may speak at once; a pause of 0.3 s ends a turn) and feed the metrics.
    `exclusive` gives each instant to one speaker at most and feeds the attribution of words.
    Both ascend by start.
    """

    turns: tuple[SpeakerTurn, ...]
    exclusive: tuple[SpeakerTurn, ...]
    speakers: tuple[SpeakerId, ...]
    embeddings: dict[SpeakerId, tuple[float, ...]]  # unit vectors; empty for a speaker with too little clean speech
    embedding_model: str | None
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Segment:
    """A readable stretch of one speaker's words."""

    id: str
    start_s: float
    end_s: float
    speaker: SpeakerId | None
    text: str
    words: tuple[Word, ...]
