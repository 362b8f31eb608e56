"""From a probability of speech every 32 ms to stretches of speech. Without I/O: recordings and live calls share it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.domain.audio import SAMPLE_RATE_HZ, Span

BLOCK_S = 512 / SAMPLE_RATE_HZ  # one probability
_ROUNDING_S = 1e-9  # sums of 32 ms are not exact in binary


@dataclass(frozen=True, slots=True)
class GateSettings:
    onset: float = 0.5  # speech begins here …
    offset: float = 0.35  # … and goes on above this: a lower bar keeps the soft ends of words
    min_silence_s: float = 0.3  # a shorter pause belongs to the sentence
    pad_s: float = 0.1  # kept on both sides: consonants rise before the vowel does


@dataclass(slots=True)
class VadGate:
    """Push probabilities in order; a span comes back once the silence after it is long enough to be sure."""

    settings: GateSettings = field(default_factory=GateSettings)
    _now_s: float = 0.0
    _start_s: float | None = None
    _last_voice_s: float = 0.0

    @property
    def speaking(self) -> bool:
        return self._start_s is not None

    def push(self, probability: float) -> Span | None:
        begin_s, self._now_s = self._now_s, self._now_s + BLOCK_S
        if probability >= (self.settings.offset if self.speaking else self.settings.onset):
            self._start_s = begin_s if self._start_s is None else self._start_s
            self._last_voice_s = self._now_s
            return None
        quiet_s = self._now_s - self._last_voice_s + _ROUNDING_S
        return self._close(self._now_s) if quiet_s >= self.settings.min_silence_s else None

    def finish(self, duration_s: float) -> Span | None:
        """The span still open when the recording ends at `duration_s`."""
        return self._close(duration_s)

    def _close(self, limit_s: float) -> Span | None:
        if self._start_s is None:
            return None
        start_s, self._start_s = max(0.0, self._start_s - self.settings.pad_s), None
        return Span(round(start_s, 6), round(min(limit_s, self._last_voice_s + self.settings.pad_s), 6))


def speech_spans(
    probabilities: Iterable[float], duration_s: float, settings: GateSettings | None = None
) -> tuple[Span, ...]:
    """The whole recording at once."""
    gate = VadGate(settings or GateSettings())
    spans = [span for probability in probabilities if (span := gate.push(probability))]
    last = gate.finish(duration_s)
    return tuple([*spans, last] if last else spans)
