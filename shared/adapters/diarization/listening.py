"""Everything that is heard of a recording before anybody is told apart: one read of the file, two passes of networks.

The first pass reads the audio once and gives the activity curves and the features; the second runs the voice network
over the features. What is kept grows by about 150 MB an hour; the audio and the networks' frames are forgotten.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.adapters.diarization.activity import FRAME_S, WINDOW_FRAMES, Activity, ActivityMeter, Mask, pieces
from shared.adapters.diarization.engines import (
    SEGMENTATION_FRAME_SAMPLES,
    TRUNK_FRAME_S,
    Matrix,
    SegmentationNetwork,
    VoiceNetwork,
)
from shared.adapters.diarization.features import FeatureStore, fit_normaliser
from shared.adapters.diarization.pooling import NO_SPAN, FrameLabels, SpanPool, voice_frames
from shared.adapters.diarization.recording import Recording
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.ports.speech import Samples
from shared.ports.tick import Tick

WINDOW_SAMPLES = WINDOW_FRAMES * SEGMENTATION_FRAME_SAMPLES
CELL_FRAMES = 12  # trunk frames in one cell of the sliding windows: 0.24 s
CELLS_A_WINDOW = 4  # 1 s: long enough to tell a voice, short enough to hold one
TRUNK_MIDDLE_S = 0.0125  # of the trunk's first frame

_BATCH = 4  # windows in one run: a fifth cheaper than one by one, and hardly more memory
_FINE_STEP, _COARSE_STEP = 148, 296  # frames: each moment is seen by four windows, or by two
_COARSE_FROM_S = 300.0  # from five minutes on the voices are sure enough for the cheaper step
_LEAST_WINDOW = 5 * SAMPLE_RATE_HZ  # in less the network takes even noise for speech
_CLEAN_MOST = 0.5  # overlap probability above which a frame says nothing about one voice
_FIRST_PASS = 0.5  # share of the time that the first pass takes


@dataclass(frozen=True, slots=True)
class Heard:
    activity: Activity
    pieces: NDArray[np.int64]  # (n, 2) frames of `activity`
    piece_pool: SpanPool  # one span a piece
    piece_embeddings: Matrix
    window_embeddings: Matrix  # of 1 s every 0.24 s
    window_seconds: NDArray[np.float32]  # of clean speech in each

    @property
    def window_middles_s(self) -> NDArray[np.float64]:
        cells = np.arange(len(self.window_seconds), dtype=np.float64) + CELLS_A_WINDOW / 2
        return cells * (CELL_FRAMES * TRUNK_FRAME_S)


class Listener:
    """The two networks at work on one recording."""

    def __init__(self, segmentation: SegmentationNetwork, voice: VoiceNetwork) -> None:
        self._segmentation, self._voice = segmentation, voice

    def listen(self, recording: Recording, tick: Tick) -> Heard:
        features = FeatureStore()
        activity = self._first_pass(recording, features, tick)
        return self._second_pass(activity, features, recording.duration_s, tick)

    def _first_pass(self, recording: Recording, features: FeatureStore, tick: Tick) -> Activity:
        step = _COARSE_STEP if recording.duration_s >= _COARSE_FROM_S else _FINE_STEP
        meter = ActivityMeter(recording.samples)
        heard = _feeding(recording.windows(WINDOW_SAMPLES, step * SEGMENTATION_FRAME_SAMPLES), features, step)
        first_frame = 0
        for batch in _batches(heard):
            for probabilities in self._segmentation.probabilities(batch):
                meter.add(first_frame, probabilities)
                first_frame += step
            tick(min(first_frame * FRAME_S, recording.duration_s) * _FIRST_PASS)
        return meter.result()

    def _second_pass(self, activity: Activity, features: FeatureStore, duration_s: float, tick: Tick) -> Heard:
        found = pieces(activity)
        total = (len(features.raw) + 1) // 2
        clean = activity.voiced & (activity.overlap < _CLEAN_MOST)
        cell_of, piece_of = _labels(clean, found, total)
        cells, piece_pool = SpanPool(total // CELL_FRAMES + 1), SpanPool(len(found))
        if len(found):
            normalise = fit_normaliser(features.raw)
            for first, frames in voice_frames(features, normalise, self._voice, cell_of != NO_SPAN):
                here = slice(first, first + len(frames))
                cells.add(cell_of[here], frames)
                piece_pool.add(piece_of[here], frames)
                tick(duration_s * (_FIRST_PASS + (1 - _FIRST_PASS) * here.stop / total))
        windows = cells.window_embeddings(CELLS_A_WINDOW, self._voice)
        return Heard(activity, found, piece_pool, piece_pool.embeddings(self._voice), *windows)


def _feeding(windows: Iterator[Samples], features: FeatureStore, step: int) -> Iterator[Samples]:
    """The windows, mirrored up to the least length; what is new in each goes to the features once."""
    overlap = 0
    for window in windows:
        features.add(window[overlap:])
        overlap = WINDOW_SAMPLES - step * SEGMENTATION_FRAME_SAMPLES
        yield np.pad(window, (0, max(0, _LEAST_WINDOW - len(window))), mode="reflect")


def _batches(windows: Iterator[Samples]) -> Iterator[Matrix]:
    """Windows of one length stacked, at most `_BATCH` at a time, in order."""
    held: list[Samples] = []
    for window in windows:
        if held and (len(held) == _BATCH or len(held[0]) != len(window)):
            yield np.stack(held)
            held = []
        held.append(window)
    if held:
        yield np.stack(held)


def _labels(clean: Mask, found: NDArray[np.int64], total: int) -> tuple[FrameLabels, FrameLabels]:
    """The cell and the piece of every trunk frame; NO_SPAN where nobody or two people speak."""
    piece_at = np.full(len(clean), NO_SPAN)
    for index, (begin, end) in enumerate(found):
        piece_at[begin:end] = index
    middles_s = np.arange(total) * TRUNK_FRAME_S + TRUNK_MIDDLE_S
    nearest = np.clip(np.rint(middles_s / FRAME_S - 1).astype(np.int64), 0, len(clean) - 1)
    usable = clean[nearest]
    return (
        np.where(usable, np.arange(total) // CELL_FRAMES, NO_SPAN),
        np.where(usable, piece_at[nearest], NO_SPAN),
    )
