"""What one moment of a voice sounds like: pitch, level, harmonicity and brightness of frames of 40 ms.

Pitch and harmonicity come from the autocorrelation of the windowed frame divided by that of the window (Boersma 1993);
both come from one spectrum, so an hour of talk costs seconds. No decision is taken here over more than one frame.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from shared.domain.audio import SAMPLE_RATE_HZ

Floats = NDArray[np.float32]

HOP = 320  # samples: 20 ms, five frames a syllable
WINDOW = 640  # samples: 40 ms hold three periods of the lowest voice
LOWEST_HZ, HIGHEST_HZ = 65, 500  # from a deep man to an excited woman
SHORTEST_LAG, LONGEST_LAG = SAMPLE_RATE_HZ // HIGHEST_HZ, SAMPLE_RATE_HZ // LOWEST_HZ
VOICED = 0.5  # of the energy repeats itself from period to period
OCTAVE_COST = 0.02  # an octave higher is believed when it repeats nearly as well: two periods repeat like one
_FFT = 1024  # WINDOW + LONGEST_LAG fit, so that the correlation does not wrap round
_SPLIT_HZ, _LOW_HZ, _HIGH_HZ = 1000, 100, 3400  # brightness is judged inside a telephone's band
_SILENCE = 1e-10  # power; -100 dBFS


@dataclass(frozen=True, slots=True)
class Frames:
    """One value a frame. Pitch and harmonicity are 0 where the frame has no voice."""

    pitch_hz: Floats
    level_db: Floats  # of full scale
    harmonicity: Floats  # share of the energy that is periodic, 0..1
    brightness_db: Floats  # energy above 1 kHz over the energy below


def measure_frames(windows: Floats) -> Frames:
    """`windows`: one row of WINDOW samples a frame."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    power = np.mean(np.square(centred), axis=1)
    spectra = np.square(np.abs(fft.rfft(centred * _shape()[0], n=_FFT, axis=1)))
    lag, strength = _best_period(spectra)
    voiced = (strength >= VOICED) & (power > _SILENCE)
    return Frames(
        pitch_hz=np.where(voiced, SAMPLE_RATE_HZ / lag, 0).astype(np.float32),
        level_db=(10 * np.log10(power + _SILENCE)).astype(np.float32),
        harmonicity=np.where(voiced, np.clip(strength, 0, 1), 0).astype(np.float32),
        brightness_db=_brightness(spectra),
    )


@cache
def _shape() -> tuple[Floats, Floats]:
    """The window, and its own autocorrelation at the lags that are looked at."""
    window = np.hanning(WINDOW + 2)[1:-1].astype(np.float32)
    own = fft.irfft(np.square(np.abs(fft.rfft(window, n=_FFT))), n=_FFT)[: LONGEST_LAG + 2]
    return window, (own / own[0]).astype(np.float32)


def _best_period(spectra: Floats) -> tuple[Floats, Floats]:
    """Lag in samples, between samples too, and the correlation there."""
    correlation = fft.irfft(spectra, n=_FFT, axis=1)[:, : LONGEST_LAG + 2]
    correlation /= np.maximum(correlation[:, :1], np.float32(1e-12)) * _shape()[1]
    inside = correlation[:, SHORTEST_LAG : LONGEST_LAG + 1]
    before = correlation[:, SHORTEST_LAG - 1 : LONGEST_LAG]
    after = correlation[:, SHORTEST_LAG + 1 : LONGEST_LAG + 2]
    peak = (inside >= before) & (inside > after)
    lags = np.arange(SHORTEST_LAG, LONGEST_LAG + 1)
    cost = (OCTAVE_COST * np.log2(lags / SHORTEST_LAG)).astype(np.float32)
    best = np.argmax(np.where(peak, inside - cost, np.float32(-2)), axis=1)
    rows = np.arange(len(best))
    left, middle, right = before[rows, best], inside[rows, best], after[rows, best]
    offset, height = vertex(left, middle, right)
    return lags[best] + offset, np.where(peak[rows, best], height, 0)


def vertex(left: Floats, middle: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Place (in steps from the middle) and height of the parabola's top through three points."""
    bend = left - 2 * middle + right
    offset = np.where(np.abs(bend) > 1e-9, 0.5 * (left - right) / np.where(np.abs(bend) > 1e-9, bend, 1), 0)
    offset = np.clip(offset, -0.5, 0.5)
    return offset, middle - 0.25 * (left - right) * offset


def _brightness(spectra: Floats) -> Floats:
    low, split, high = (round(hz * _FFT / SAMPLE_RATE_HZ) for hz in (_LOW_HZ, _SPLIT_HZ, _HIGH_HZ))
    above = spectra[:, split:high].sum(axis=1) + np.float32(1e-9)
    below = spectra[:, low:split].sum(axis=1) + np.float32(1e-9)
    return np.asarray(10 * np.log10(above / below), np.float32)
