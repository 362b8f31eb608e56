"""From decoded files to tracks: who is on which channel, how loud, and where speech is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.audio.channels import Pair, Probabilities, compare, separate
from pipelines.audio.flac import chunks
from pipelines.audio.levels import LevelMeter, Levels
from pipelines.audio.listen import certain, hear, spans, through
from pipelines.audio.loudness import LoudnessMeter
from pipelines.audio.peaks import PeakMeter
from shared.domain.audio import SAMPLE_RATE_HZ, Track
from shared.ports.media import Decoded
from shared.ports.speech import VoiceActivity

MIX_FILE = "audio.flac"
OnShare = Callable[[float], None]  # what part of the listening is done, 0..1


@dataclass(frozen=True, slots=True)
class Measured:
    """One file and what was measured of it without a model."""

    path: Path
    lufs: float | None
    levels: Levels


@dataclass(frozen=True, slots=True)
class Listened:
    """A track, and what cutting it needs."""

    track: Track
    path: Path
    levels: Levels


@dataclass(frozen=True, slots=True)
class Heard:
    mix: Listened
    channels: tuple[Listened, ...]  # empty unless they carry one person each
    peaks: PeakMeter

    @property
    def to_recognise(self) -> tuple[Listened, ...]:
        return self.channels or (self.mix,)


@dataclass(slots=True)
class Ears:
    """A model, and how far all of its listening has come."""

    model: VoiceActivity
    duration_s: float
    on_share: OnShare
    passes: int
    _begun: int = 0

    def hear(self, file: Measured) -> Probabilities:
        before, self._begun = self._begun, self._begun + 1

        def on_seconds(done_s: float) -> None:
            self.on_share((before + min(1.0, done_s / self.duration_s)) / self.passes)

        return hear(file.path, file.lufs, self.model, on_seconds)


def listen_to(decoded: Decoded, model: VoiceActivity, *, two_party: bool, on_share: OnShare) -> Heard:
    """`two_party` False: the caller knows of another number of people than two."""
    sides, pair = _side_by_side(decoded.channels)
    peaks = PeakMeter()
    mix = _measure(_mix_file(decoded, pair), peaks)
    ears = Ears(model, decoded.samples / SAMPLE_RATE_HZ, on_share, passes=3 if pair else 1)
    voices = None
    if two_party and pair is not None and pair.comparable:
        voices = separate(pair, ears.hear(sides[0]), ears.hear(sides[1]))
    heard = ears.hear(mix) if voices is None else voices.either
    sure = certain(heard)  # of the whole conversation: one of two people may only murmur

    def listened(file: Measured, name: str, channel: int | None, probabilities: Probabilities) -> Listened:
        speech = spans(probabilities, ears.duration_s) if sure else ()
        return Listened(Track(name, channel, file.lufs, speech), file.path, file.levels)

    own = () if voices is None else (voices.left, voices.right)
    channels = (listened(sides[number], f"channel-{number}.flac", number, voice) for number, voice in enumerate(own))
    return Heard(listened(mix, MIX_FILE, None, heard), tuple(channels), peaks)


def _side_by_side(files: tuple[Path, ...]) -> tuple[tuple[Measured, ...], Pair | None]:
    if len(files) != 2:
        return (), None
    meters = LoudnessMeter(), LoudnessMeter()
    left, right = (through(chunks(file), meter) for file, meter in zip(files, meters, strict=True))
    pair = compare(left, right)
    levels = pair.left_db, pair.right_db
    measured = (Measured(file, m.lufs, own) for file, m, own in zip(files, meters, levels, strict=True))
    return tuple(measured), pair


def _mix_file(decoded: Decoded, pair: Pair | None) -> Path:
    """The mean of both, unless that would cancel the voices or halve the only one."""
    if pair is not None and (pair.cancelling or pair.only is not None):
        return decoded.channels[pair.only or 0]
    return decoded.mix


def _measure(path: Path, peaks: PeakMeter) -> Measured:
    loudness, levels = LoudnessMeter(), LevelMeter()
    for _ in through(chunks(path), loudness, levels, peaks):
        pass
    return Measured(path, loudness.lufs, levels.levels)
