"""Integrated loudness by EBU R128 (ITU-R BS.1770-4), piece by piece."""

from dataclasses import dataclass, field
from functools import cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from shared.domain.audio import SAMPLE_RATE_HZ
from shared.ports.speech import Samples

_STEP = SAMPLE_RATE_HZ // 10  # windows of 400 ms overlap by three quarters
_STEPS_A_WINDOW = 4
_SILENCE_LUFS = -70.0  # the standard's absolute gate
_RELATIVE_LU = -10.0  # and its second one, below the mean of what passed the first
_OFFSET_LU = -0.691  # so that a full-scale 1 kHz tone reads as the standard says

# The standard gives its two filters for 48 kHz; these are the analogue ones behind them: (Hz, Q, gain in dB).
_HEAD = (1681.974450955533, 0.7071752369554196, 3.999843853973347)
_LOW_CUT = (38.13547087602444, 0.5003270373238773)


@dataclass(slots=True)
class LoudnessMeter:
    """Feed pieces of a whole number of 100 ms steps; a shorter last one is measured as far as it goes."""

    _state: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 2)))
    _powers: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, samples: Samples) -> None:
        weighted, self._state = signal.sosfilt(_k_weighting(), samples, zi=self._state)
        whole = weighted[: len(weighted) // _STEP * _STEP].reshape(-1, _STEP)
        self._powers.append(np.mean(np.square(whole), axis=1))

    @property
    def lufs(self) -> float | None:
        """None when nothing is louder than -70 LUFS, or the recording is shorter than 0.4 s."""
        steps = np.concatenate(self._powers) if self._powers else np.zeros(0)
        if len(steps) < _STEPS_A_WINDOW:
            return None
        windows = np.convolve(steps, np.full(_STEPS_A_WINDOW, 1 / _STEPS_A_WINDOW), "valid")
        loud = windows[_lufs(windows) > _SILENCE_LUFS]
        if not len(loud):
            return None
        gated = loud[_lufs(loud) > _lufs(loud.mean()) + _RELATIVE_LU]
        return round(float(_lufs(gated.mean())), 2)


def _lufs(power: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return _OFFSET_LU + 10 * np.log10(np.maximum(power, 1e-12))


@cache
def _k_weighting() -> NDArray[np.float64]:
    """Bilinear transforms of a high shelf (the head) and a high pass, at our rate."""
    frequency, q, gain_db = _HEAD
    k, high = np.tan(np.pi * frequency / SAMPLE_RATE_HZ), 10 ** (gain_db / 20)
    middle = high**0.4996667741545416  # the standard's shelf is not quite symmetrical
    a0 = 1 + k / q + k * k
    shelf = [high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k]
    head = np.array([*shelf, a0, 2 * (k * k - 1), 1 - k / q + k * k]) / a0
    frequency, q = _LOW_CUT
    k = np.tan(np.pi * frequency / SAMPLE_RATE_HZ)
    a0 = 1 + k / q + k * k
    low_cut = np.array([a0, -2 * a0, a0, a0, 2 * (k * k - 1), 1 - k / q + k * k]) / a0
    return cast("NDArray[np.float64]", np.vstack([head, low_cut]))
