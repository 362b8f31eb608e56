"""The usual pipeline, to have something to compare with: one embedding for each local voice of each 10 s window, an
average-linkage tree over all of them, cut at the wished number of speakers.

It runs on the same two networks and the same features as ours, so that only the method differs. The tree is cut where
embeddings of different people lie without a given number (a cosine of 0.35).
"""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment

from shared.adapters.diarization.activity import FRAME_S, WINDOW_FRAMES, runs
from shared.adapters.diarization.embedding import CampplusEmbedder
from shared.adapters.diarization.engines import SEGMENTATION_FRAME_SAMPLES, SegmentationNetwork
from shared.adapters.diarization.weights import voice_weights
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.settings import Settings

STEP_FRAMES = 148  # 2.5 s
LEAST_S, CLEAN_S, MOST_S = 0.3, 1.0, 6.0  # speech of a unit: to be embedded, to shape the tree, at most
CUT = 0.65  # cosine distance
POWERSET = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], bool)

Turn = tuple[float, float, str]
Mask = NDArray[np.bool_]


class Baseline:
    def __init__(self, settings: Settings) -> None:
        self._embedder = CampplusEmbedder(settings)
        self._segmentation = SegmentationNetwork(voice_weights(settings.model_cache), settings.engine_threads)

    def diarize(self, audio: Path, speakers: int | None) -> list[Turn]:
        samples = soundfile.read(audio, dtype="float32")[0]
        windows = [self._window(samples, first) for first in self._starts(len(samples))]
        units = [
            (number, voice, seconds, embedding)
            for number, active in enumerate(windows)
            for voice, seconds, embedding in self._units(samples, number * STEP_FRAMES, active)
        ]
        if not units:
            return []
        return _turns(_votes(windows, units, _centres(units, speakers), len(samples)))

    def _starts(self, samples: int) -> range:
        step = STEP_FRAMES * SEGMENTATION_FRAME_SAMPLES
        return range(0, max(1, samples - WINDOW_FRAMES * SEGMENTATION_FRAME_SAMPLES + step), step)

    def _window(self, samples: NDArray[np.float32], first: int) -> Mask:
        length = WINDOW_FRAMES * SEGMENTATION_FRAME_SAMPLES
        window = samples[first : first + length]
        padded = np.pad(window, (0, length - len(window)))
        return POWERSET[self._segmentation.probabilities(padded[None])[0].argmax(axis=1)]

    def _units(self, samples: NDArray[np.float32], first: int, active: Mask):
        """(local voice, clean seconds, embedding) of everybody who says enough in this window."""
        for voice in range(3):
            alone = active[:, voice] & (active.sum(axis=1) == 1)
            frames = first + np.flatnonzero(alone)
            if len(frames) * FRAME_S < LEAST_S:
                continue
            at = frames[:, None] * SEGMENTATION_FRAME_SAMPLES + np.arange(SEGMENTATION_FRAME_SAMPLES)
            speech = samples[at.ravel()[at.ravel() < len(samples)]][: int(MOST_S * SAMPLE_RATE_HZ)]
            if len(speech) >= LEAST_S * SAMPLE_RATE_HZ:
                yield voice, len(speech) / SAMPLE_RATE_HZ, np.array(self._embedder.embed(speech))


def _centres(units, speakers: int | None) -> NDArray[np.float64]:
    vectors = np.stack([embedding for *_, seconds, embedding in units if seconds >= CLEAN_S] or [units[0][-1]])
    labels = np.ones(1, int)
    if len(vectors) > 1:
        tree = linkage(vectors, "average", metric="cosine")
        labels = fcluster(tree, speakers, "maxclust") if speakers else fcluster(tree, CUT, "distance")
    centres = np.stack([vectors[labels == label].mean(axis=0) for label in np.unique(labels)])
    return centres / np.linalg.norm(centres, axis=1, keepdims=True)


def _votes(windows: list[Mask], units, centres: NDArray[np.float64], samples: int) -> Mask:
    """(frames, speakers): each window's voices assigned one to one, then the mean over windows."""
    frames = samples // SEGMENTATION_FRAME_SAMPLES
    votes, seen = np.zeros((frames + WINDOW_FRAMES, len(centres))), np.zeros(frames + WINDOW_FRAMES)
    for number, active in enumerate(windows):
        here = slice(number * STEP_FRAMES, number * STEP_FRAMES + len(active))
        seen[here] += 1
        own = [(voice, embedding) for window, voice, _, embedding in units if window == number]
        cosines = np.array([centres @ embedding for _, embedding in own]).reshape(len(own), len(centres))
        for row, speaker in zip(*linear_sum_assignment(-cosines), strict=True):
            votes[here, speaker] += active[:, own[row][0]]
    return (votes / np.maximum(seen, 1)[:, None])[:frames] >= 0.5


def _turns(on: Mask, pause_s: float = 0.3) -> list[Turn]:
    turns: list[Turn] = []
    for speaker in range(on.shape[1]):
        last: Turn | None = None
        for begin, end in runs(on[:, speaker]):
            start_s, end_s = (begin + 1) * FRAME_S, (end + 1) * FRAME_S
            if last and start_s - last[1] < pause_s:
                start_s = turns.pop()[0]
            last = (start_s, end_s, str(speaker))
            turns.append(last)
    return sorted(turns)
