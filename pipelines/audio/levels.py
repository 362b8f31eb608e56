"""How loud each 32 ms of a recording is: enough to compare channels and to find a quiet spot."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.audio.vad_gate import BLOCK_S
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.ports.speech import Samples

Levels = NDArray[np.float64]  # dB below full scale, one a block

BLOCK = round(BLOCK_S * SAMPLE_RATE_HZ)
FLOOR_DB = -100.0  # below the last bit of 16
_SMOOTH_BLOCKS = 5  # 160 ms, a syllable: single blocks jump by 20 dB within a word


@dataclass(slots=True)
class LevelMeter:
    """Feed pieces of a whole number of blocks, the last one shorter."""

    _powers: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, samples: Samples) -> None:
        rows = np.pad(samples, (0, -len(samples) % BLOCK)).reshape(-1, BLOCK)
        self._powers.append(np.asarray(np.mean(np.square(rows, dtype=np.float64), axis=1)))

    @property
    def levels(self) -> Levels:
        powers = np.concatenate(self._powers) if self._powers else np.zeros(1)
        smooth = ndimage.uniform_filter1d(powers, _SMOOTH_BLOCKS, mode="nearest")
        return np.asarray(10 * np.log10(np.maximum(smooth, 10 ** (FLOOR_DB / 10))))
