"""Who speaks at all, frame by frame: the segmentation network's windows, averaged into three curves.

Its voices are NOT followed from window to window: on telephone mixes it often gives one label to both people. What it
knows well is whether anybody speaks, whether two speak at once, and where the speaker changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from shared.adapters.diarization.engines import SEGMENTATION_FRAME_SAMPLES, Matrix
from shared.domain.audio import SAMPLE_RATE_HZ

FRAME_S = SEGMENTATION_FRAME_SAMPLES / SAMPLE_RATE_HZ
WINDOW_FRAMES = 592  # 10 s, what the network was trained on
Curve = NDArray[np.float32]
Mask = NDArray[np.bool_]

_VOICES = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], np.float32)
_EDGE_FRAMES, _EDGE_WEIGHT = 20, 0.1  # a window knows less of its first and last third of a second
_CHANGE_SIDE = 15  # frames compared on each side of a possible change: a quarter of a second
_SPEECH_LEAST = _OVERLAP_LEAST = 0.5  # probabilities above which a frame counts


@dataclass(frozen=True, slots=True)
class Activity:
    """Curves in 0..1, one value a frame: somebody speaks, two speak, the speaker changes here."""

    speech: Curve
    overlap: Curve
    change: Curve

    @property
    def voiced(self) -> Mask:
        return self.speech > _SPEECH_LEAST

    @property
    def overlapped(self) -> Mask:
        return self.voiced & (self.overlap > _OVERLAP_LEAST)


class ActivityMeter:
    """Averages overlapping windows as they come."""

    def __init__(self, samples: int) -> None:
        frames = samples // SEGMENTATION_FRAME_SAMPLES + 1
        self._sums = np.zeros((3, frames), np.float32)
        self._weights = np.zeros(frames, np.float32)

    def add(self, first_frame: int, probabilities: Matrix) -> None:
        """`probabilities` (frames, 7) of a window that starts at `first_frame`."""
        known = probabilities[: len(self._weights) - first_frame]
        place = slice(first_frame, first_frame + len(known))
        weight = np.ones(len(known), np.float32)
        weight[:_EDGE_FRAMES] = weight[-_EDGE_FRAMES:] = _EDGE_WEIGHT
        curves = np.stack([1 - known[:, 0], known[:, 4:].sum(axis=1), _change(known @ _VOICES)])
        self._sums[:, place] += weight * curves
        self._weights[place] += weight

    def result(self) -> Activity:
        return Activity(*(self._sums / np.maximum(self._weights, np.float32(1e-3))))


def _change(voices: Matrix) -> Curve:
    """How much the three voices' mean activity before a frame differs from that behind it."""
    count = len(voices)
    sums = np.concatenate([np.zeros((1, 3)), np.cumsum(voices, axis=0, dtype=np.float64)])
    here = np.arange(count)
    before, behind = np.maximum(here - _CHANGE_SIDE, 0), np.minimum(here + _CHANGE_SIDE, count)
    left = (sums[here] - sums[before]) / np.maximum(here - before, 1)[:, None]
    right = (sums[behind] - sums[here]) / (behind - here)[:, None]
    change: Curve = (np.abs(left - right).sum(axis=1) / 2).astype(np.float32)
    return change


# ---- pieces: stretches that one person speaks, as far as the curves can tell

_PEAK_LEAST = 0.2  # of the change curve; lower peaks are breaths
_PEAK_REACH = 12  # frames to both sides that a peak overtops: changes are 0.2 s apart
_RUN_MARGIN = 8  # frames at the ends of a run where the curve only sees the pause
_PIECE_MOST_S = 1.5  # longer ones are divided, in case a change was missed


def runs(mask: Mask) -> Iterator[tuple[int, int]]:
    """[begin, end) of every stretch of true values."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def pieces(activity: Activity) -> NDArray[np.int64]:
    """(n, 2) frames [begin, end): speech, cut at changes of speaker, none longer than 1.5 s."""
    peaks = activity.change == maximum_filter1d(activity.change, 2 * _PEAK_REACH + 1)
    peaks &= activity.change > _PEAK_LEAST
    found: list[tuple[int, int]] = []
    for begin, end in runs(activity.voiced):
        inner = begin + _RUN_MARGIN + np.flatnonzero(peaks[begin + _RUN_MARGIN : max(end - _RUN_MARGIN, 0)])
        cuts = np.array([begin, *inner, end])
        for first, last in pairwise(cuts):
            parts = int(np.ceil((last - first) * FRAME_S / _PIECE_MOST_S))
            bounds = np.linspace(first, last, parts + 1).astype(int)
            found += pairwise(bounds)
    return np.array(found, np.int64).reshape(-1, 2)
