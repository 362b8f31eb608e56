"""How stirred a voice is, against the same speaker's usual: higher, livelier, louder and brighter than their median.

Of what a voice gives away, arousal is what holds from one data set to another (a model trained on one German corpus
told stirred from calm in an English one with an AUC of 0.88; categories were at chance). So no category is named here,
and nobody is compared with anybody else: a loud person is not an angry one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.insight.prosody.frames import Floats, Frames
from pipelines.insight.prosody.hearing import Voice
from pipelines.insight.prosody.summary import HOP_S, believed

LEAST_VOICED_S = 1.0  # in a window: three to five syllables
LEAST_WINDOWS = 4  # of one speaker: fewer have no usual
SPREAD_OF_MAD = 1.4826  # makes the median distance a standard deviation
# Less than this is no change that a listener would notice; it keeps a monotone voice from being magnified.
LEAST_SPREAD = np.array([1.0, 0.5, 2.0, 1.5])  # semitones, semitones, dB, dB
STRONG = 2.0  # standard deviations, in the mean of all four, that count as strong


@dataclass(frozen=True, slots=True)
class Window:
    start_ms: int
    end_ms: int


def arousal_of(voice: Voice, windows: Sequence[Window]) -> list[float | None]:
    """-1..1 for each window; None where it holds too little voice, all None where the speaker has no usual."""
    kept = believed(voice.frames)
    rows = [_figures(voice, kept, window) for window in windows]
    known = [row for row in rows if row is not None]
    if len(known) < LEAST_WINDOWS:
        return [None] * len(windows)
    usual = np.median(known, axis=0)
    spread = np.maximum(SPREAD_OF_MAD * np.median(np.abs(np.array(known) - usual), axis=0), LEAST_SPREAD)
    return [None if row is None else _squeezed(float(np.mean((row - usual) / spread))) for row in rows]


def _squeezed(deviations: float) -> float:
    return round(float(np.tanh(deviations / STRONG)), 3)


def _figures(voice: Voice, kept: np.ndarray[tuple[int], np.dtype[np.bool_]], window: Window) -> Floats | None:
    """Pitch, its liveliness, level and brightness of one window."""
    first, last = np.searchsorted(voice.at_ms, [window.start_ms, window.end_ms])
    inside = np.arange(first, last)[kept[first:last]]
    if len(inside) * HOP_S < LEAST_VOICED_S:
        return None
    return _four(voice.frames, inside)


def _four(frames: Frames, inside: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
    semitones = 12 * np.log2(frames.pitch_hz[inside])
    low, middle, high = np.percentile(semitones, [25, 50, 75])
    level, brightness = np.median(frames.level_db[inside]), np.median(frames.brightness_db[inside])
    return np.array([middle, high - low, level, brightness], np.float32)
