"""Do left and right carry different people? If so, who spoke when needs no guessing.

Two-party calls put one person on each channel, more or less cleanly: some of each leaks into the other. A room recorded
in stereo, music, and mono written twice look alike at first and must not be taken for it: then one person would be
heard as two. All decisions are made on blocks of 32 ms, the step of the voice activity.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.audio.levels import FLOOR_DB, LevelMeter, Levels
from pipelines.audio.vad_gate import BLOCK_S
from shared.ports.speech import Samples

Probabilities = NDArray[np.float32]

_SAME = 0.95  # correlation of one signal written twice, through any codec; two people's with -20 dB leak have 0.2
_ONE_SIDED_DB = 40.0  # more than a talker's leak: the other channel is not connected
_VOICE = 0.5
_DOMINANT_DB = 6.0  # clearly louder on one side
_LEAST_APART_DB = 10.0  # a leak above this is a room with two microphones, or panned stereo
_MARGIN_DB = 6.0  # a leak varies around its middle as the talker's spectrum does
_ENOUGH_BLOCKS = round(1.0 / BLOCK_S)  # to know a leak, or that somebody is there at all
_ECHO_BLOCKS = (8, 2)  # a leak may come up to 0.25 s late, and smoothing spreads it
_ALONE_SHARE = 0.6  # of the speech is on one channel only: even heated talk overlaps for less than a third
_SMALLER_SHARE = 0.02  # of the speech at least on the quieter person's channel


@dataclass(frozen=True, slots=True)
class Pair:
    """Two channels side by side: their levels, and how alike they are as a whole."""

    left_db: Levels
    right_db: Levels
    correlation: float  # -1 … 1

    @property
    def same(self) -> bool:
        """One signal on both, perhaps turned around."""
        return abs(self.correlation) > _SAME

    @property
    def cancelling(self) -> bool:
        """Turned around: their mean is silence."""
        return self.correlation < -_SAME

    @property
    def comparable(self) -> bool:
        """Two different signals."""
        return not self.same and self.only is None

    @property
    def only(self) -> int | None:
        """The one channel that carries anything, if so."""
        difference = float(_peak(self.left_db) - _peak(self.right_db))
        return None if abs(difference) < _ONE_SIDED_DB else int(difference < 0)


@dataclass(frozen=True, slots=True)
class Voices:
    """Probability of speech on each channel without what leaked into it from the other."""

    left: Probabilities
    right: Probabilities

    @property
    def either(self) -> Probabilities:
        return np.maximum(self.left, self.right)


def compare(left: Iterable[Samples], right: Iterable[Samples]) -> Pair:
    meters = LevelMeter(), LevelMeter()
    energy = np.zeros(3)
    for pieces in zip(left, right, strict=True):
        a, b = pieces
        energy += np.array([np.dot(a, a), np.dot(b, b), np.dot(a, b)], np.float64)
        for meter, samples in zip(meters, pieces, strict=True):
            meter.add(samples)
    scale = float(np.sqrt(energy[0] * energy[1]))
    return Pair(meters[0].levels, meters[1].levels, float(energy[2]) / scale if scale else 0.0)


def separate(pair: Pair, left: Probabilities, right: Probabilities) -> Voices | None:
    """The two people's own speech, or None when the channels do not carry one person each."""
    leak_right = _leak_db(left, pair.left_db - pair.right_db)
    leak_left = _leak_db(right, pair.right_db - pair.left_db)
    if max(leak_left, leak_right) > -_LEAST_APART_DB:
        return None
    voices = Voices(
        left=_own(left, pair.left_db, pair.right_db + leak_left),
        right=_own(right, pair.right_db, pair.left_db + leak_right),
    )
    return voices if _two_people(voices.left >= _VOICE, voices.right >= _VOICE) else None


def _leak_db(voice: Probabilities, louder_db: Levels) -> float:
    """How loud this talker is on the other channel. Too little heard of them: as if nothing leaked."""
    dominant = louder_db[(voice >= _VOICE) & (louder_db >= _DOMINANT_DB)]
    return -float(np.median(dominant)) if len(dominant) >= _ENOUGH_BLOCKS else FLOOR_DB


def _own(voice: Probabilities, own_db: Levels, leaked_db: Levels) -> Probabilities:
    before, after = _ECHO_BLOCKS
    loudest_leak = ndimage.maximum_filter1d(leaked_db, before + after + 1, origin=(before - after) // 2, mode="nearest")
    return np.where(own_db > loudest_leak + _MARGIN_DB, voice, np.float32(0.0)).astype(np.float32)


def _two_people(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> bool:
    speech, alone_left, alone_right = int((left | right).sum()), int((left & ~right).sum()), int((right & ~left).sum())
    smaller = min(alone_left, alone_right)
    return smaller >= max(_ENOUGH_BLOCKS, _SMALLER_SHARE * speech) and alone_left + alone_right >= _ALONE_SHARE * speech


def _peak(levels: Levels) -> float:
    """Of all but the loudest hundredth: one click is not a signal."""
    return float(np.percentile(levels, 99)) if len(levels) else FLOOR_DB
