"""How even a voice is from one vibration of the vocal folds to the next: jitter and shimmer.

Each cycle is found by where the wave around it repeats itself best, one period on. Both figures are "local" in the
usual sense: the mean difference of neighbours over the mean. They are judged on steady stretches alone; pairs that
differ by more than a voice can are no cycles and are left out (the limits are those in common use).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pipelines.insight.prosody.frames import Floats, vertex
from shared.domain.audio import SAMPLE_RATE_HZ

SHORTEST, LONGEST = 0.75, 1.3  # of the expected period
ALIKE = 0.5  # correlation of two cycles in a row
MOST_PERIOD_RATIO, MOST_AMPLITUDE_RATIO = 1.3, 1.6
LEAST_CYCLES = 50  # fewer say nothing of a voice


@dataclass
class Cycles:
    """Sums over all cycles heard so far, so that nothing grows with the recording."""

    pairs: int = 0
    period_sum: float = 0.0
    period_difference: float = 0.0
    amplitude_pairs: int = 0
    amplitude_sum: float = 0.0
    amplitude_difference: float = 0.0

    def add(self, periods: Sequence[float], amplitudes: Sequence[float]) -> None:
        for a, b in pairwise(periods):
            if max(a, b) <= MOST_PERIOD_RATIO * min(a, b):
                self.pairs += 1
                self.period_sum += (a + b) / 2
                self.period_difference += abs(a - b)
        for a, b in pairwise(amplitudes):
            if 0 < max(a, b) <= MOST_AMPLITUDE_RATIO * min(a, b):
                self.amplitude_pairs += 1
                self.amplitude_sum += (a + b) / 2
                self.amplitude_difference += abs(a - b)

    @property
    def jitter(self) -> float | None:
        return self.period_difference / self.period_sum if self.pairs >= LEAST_CYCLES else None

    @property
    def shimmer(self) -> float | None:
        return self.amplitude_difference / self.amplitude_sum if self.amplitude_pairs >= LEAST_CYCLES else None


def find_cycles(samples: Floats, pitch_hz: float) -> tuple[list[float], list[float]]:
    """Periods in samples, and the amplitude of each cycle, from the loudest point of the first period on."""
    expected = SAMPLE_RATE_HZ / pitch_hz
    length, half = round(expected), round(expected) // 2
    at = half + int(np.argmax(np.abs(samples[half : half + length]))) if len(samples) > 4 * length else len(samples)
    periods: list[float] = []
    amplitudes: list[float] = []
    shortest, longest = round(SHORTEST * expected), round(LONGEST * expected)
    windows = sliding_window_view(samples, length) if len(samples) >= length else samples[:0].reshape(0, length)
    while at - half + longest + 1 < len(windows):
        own = windows[at - half]
        others = windows[at - half + shortest - 1 : at - half + longest + 2]
        norms = np.sqrt(np.einsum("ij,ij->i", others, others) * float(own @ own)) + 1e-12
        likeness = (others @ own) / norms
        best = 1 + int(np.argmax(likeness[1:-1]))
        if likeness[best] < ALIKE:
            break
        offset, _ = vertex(likeness[best - 1], likeness[best], likeness[best + 1])
        periods.append(shortest - 1 + best + float(offset))
        amplitudes.append(float(own.max() - own.min()))
        at += shortest - 1 + best
    return periods, amplitudes
