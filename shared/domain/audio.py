"""What is known of a recording. Times are seconds on the recording's own time line, spans half-open."""

from dataclasses import dataclass

from shared.domain.errors import SourceTooLarge, TooLong, TooShort

SAMPLE_RATE_HZ = 16_000  # what every speech model here was trained on


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open interval [start_s, end_s) in seconds."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What the container says, before anything is decoded."""

    duration_s: float
    sample_rate_hz: int
    channels: int
    codec: str
    container: str
    bytes: int


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """What we take in. Checked by the header first, and again by what was really read and decoded."""

    max_bytes: int
    max_duration_s: float
    min_duration_s: float

    def check_bytes(self, size: int) -> None:
        if size > self.max_bytes:
            raise SourceTooLarge(f"The recording has {size / 1e6:.0f} MB; {self.max_bytes / 1e6:.0f} MB is the limit")

    def check_longest(self, duration_s: float) -> None:
        if duration_s > self.max_duration_s:
            limit_min = self.max_duration_s / 60
            raise TooLong(f"The recording is longer than {limit_min:.0f} minutes, the limit; send it in parts")

    def check_shortest(self, duration_s: float) -> None:
        if duration_s < self.min_duration_s:
            limit = f"{self.min_duration_s:g} s is the least"
            raise TooShort(f"The recording lasts {duration_s:.2f} s; {limit} that can hold a word")


@dataclass(frozen=True, slots=True)
class SourceAudio:
    """The download stage's document. Its one file is named `source`."""

    sha256: str
    facts: MediaFacts
    origin: str  # upload, s3 or url: never the address itself, which may carry a signature


@dataclass(frozen=True, slots=True)
class Track:
    """One 16 kHz mono FLAC: the whole mix (channel None), or one channel that carries one person."""

    file: str
    channel: int | None
    loudness_lufs: float | None  # EBU R128 integrated loudness; None when silent
    speech: tuple[Span, ...]  # voice activity, ascending, not overlapping


@dataclass(frozen=True, slots=True)
class Shard:
    """A stretch of one track, cut in silence. Offsets are integer samples at 16 kHz, so nothing drifts."""

    index: int
    file: str
    channel: int | None
    start_sample: int
    samples: int
    speech: tuple[Span, ...]  # relative to the shard's own start

    @property
    def start_s(self) -> float:
        return self.start_sample / SAMPLE_RATE_HZ

    @property
    def duration_s(self) -> float:
        return self.samples / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class LanguageGuess:
    code: str  # ISO 639-1
    confidence: float  # 0..1


@dataclass(frozen=True, slots=True)
class PreparedAudio:
    """The preprocess stage's document. Files: `audio.flac` (the mono mix), per-channel tracks, shards, `peaks.json`."""

    duration_s: float
    samples: int
    mix: Track
    channels: tuple[Track, ...]  # empty unless the channels carry different people
    shards: tuple[Shard, ...]  # empty when no speech was found
    language: LanguageGuess | None
    denoised: bool

    @property
    def has_speech(self) -> bool:
        return bool(self.shards)

    @property
    def speech_s(self) -> float:
        return sum(shard_speech.duration_s for shard in self.shards for shard_speech in shard.speech)
