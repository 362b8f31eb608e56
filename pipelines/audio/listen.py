"""Where is speech? One pass of a voice activity model over a recording, at the level it hears best."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from pipelines.audio.channels import Probabilities
from pipelines.audio.flac import chunks
from pipelines.audio.vad_gate import BLOCK_S, speech_spans
from shared.domain.audio import Span
from shared.ports.speech import Samples, VoiceActivity
from shared.ports.tick import Tick

_BEST_LUFS = -27.0  # measured: at -17 the model misses 12 % of a telephone voice, at -27 10 %, at -47 11 %
_MOST_DB = 40.0  # a recording of -67 LUFS has no more than its noise left
_SURE = 0.9  # music, noise, tones and ringing were heard as speech, at times for seconds, but never as surely as this
_SURE_BLOCKS = 3  # 0.1 s; one spoken word has 2 to 20
_SURE_SHARE = 0.1  # of what may be speech; the least sure telephone call has 0.25, a buzz through vowel filters 0.03
_MAYBE = 0.5


class Meter(Protocol):
    def add(self, samples: Samples) -> None: ...


def through(pieces: Iterable[Samples], *meters: Meter) -> Iterator[Samples]:
    """Show each piece to the meters on its way."""
    for piece in pieces:
        for meter in meters:
            meter.add(piece)
        yield piece


def hear(path: Path, lufs: float | None, model: VoiceActivity, tick: Tick) -> Probabilities:
    """One probability every 32 ms; `tick` gets the seconds heard."""
    gain_db = _MOST_DB if lufs is None else float(np.clip(_BEST_LUFS - lufs, -_MOST_DB, _MOST_DB))
    louder = np.float32(10 ** (gain_db / 20))

    def pieces() -> Iterator[Samples]:
        heard_s = 0.0
        for piece in chunks(path):
            yield piece * louder
            heard_s += len(piece) / 512 * BLOCK_S
            tick(heard_s)

    return np.fromiter(model.probabilities(pieces()), np.float32)


def certain(probabilities: Probabilities) -> bool:
    """False for recordings of which no model should make words: silence, noise, music without a voice."""
    sure = int((probabilities >= _SURE).sum())
    return sure >= max(_SURE_BLOCKS, _SURE_SHARE * int((probabilities >= _MAYBE).sum()))


def spans(probabilities: Probabilities, duration_s: float) -> tuple[Span, ...]:
    return speech_spans(probabilities.tolist(), duration_s)
