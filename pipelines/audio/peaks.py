"""The outline of a recording for drawing it: the JSON form of audiowaveform, which web players read."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.domain.audio import SAMPLE_RATE_HZ
from shared.ports.speech import Samples

PEAKS_A_SECOND = 20  # an hour is 72,000 pairs: enough to zoom to a word, 300 kB compressed
_SAMPLES_A_PEAK = SAMPLE_RATE_HZ // PEAKS_A_SECOND


@dataclass(slots=True)
class PeakMeter:
    """Feed pieces of a whole number of peaks, the last one shorter; keeps two bytes a peak."""

    _data: bytearray = field(default_factory=bytearray)

    def add(self, samples: Samples) -> None:
        if not len(samples):
            return
        rows = np.pad(samples, (0, -len(samples) % _SAMPLES_A_PEAK), "edge").reshape(-1, _SAMPLES_A_PEAK)
        pairs = np.stack([rows.min(axis=1), rows.max(axis=1)], axis=1)
        self._data += np.clip(np.round(pairs * 127), -128, 127).astype(np.int8).tobytes()

    def document(self) -> dict[str, Any]:
        values: NDArray[np.int8] = np.frombuffer(bytes(self._data), np.int8)
        return {
            "version": 2,
            "channels": 1,
            "sample_rate": SAMPLE_RATE_HZ,
            "samples_per_pixel": _SAMPLES_A_PEAK,
            "bits": 8,
            "length": len(values) // 2,
            "data": values.tolist(),
        }
