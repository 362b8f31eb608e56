"""Statistics of many spans from one pass of the voice network, without keeping its frames.

An hour of frames is 370 MB; what the embeddings need of them are sums. So each span keeps the sum, the sum of squares
and the number of its frames, and the frames themselves are forgotten block by block.
"""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from shared.adapters.diarization.engines import TRUNK_FRAME_S, TRUNK_VALUES, Matrix, VoiceNetwork
from shared.adapters.diarization.features import FeatureStore, Normaliser

NO_SPAN = -1  # a frame that belongs to none
CHUNK_FRAMES = 1000  # trunk frames that one run of the network keeps: 20 s
CONTEXT_FRAMES = 25  # and half a second more on each side, which is dropped

FrameLabels = NDArray[np.int64]


class SpanPool:
    """Sums over spans; merging spans is adding rows."""

    def __init__(self, spans: int) -> None:
        self.sums = np.zeros((spans, TRUNK_VALUES), np.float32)
        self.squares = np.zeros((spans, TRUNK_VALUES), np.float32)
        self.frames = np.zeros(spans, np.float32)

    def add(self, labels: FrameLabels, values: Matrix) -> None:
        """`labels` names the span of each row of `values`; NO_SPAN rows are left out."""
        kept = labels != NO_SPAN
        if not kept.any():
            return
        spans, place = np.unique(labels[kept], return_inverse=True)
        member = np.zeros((len(spans), len(place)), np.float32)
        member[place, np.arange(len(place))] = 1
        rows = values[kept]
        self.sums[spans] += member @ rows
        self.squares[spans] += member @ (rows * rows)
        self.frames[spans] += member.sum(axis=1)

    def merged(self, groups: NDArray[np.intp], count: int) -> "SpanPool":
        """One span for each group 0..count-1; rows of group -1 are left out."""
        pool, kept = SpanPool(count), groups >= 0
        for mine, theirs in ((pool.sums, self.sums), (pool.squares, self.squares), (pool.frames, self.frames)):
            np.add.at(mine, groups[kept], theirs[kept])
        return pool

    def sliding(self, length: int) -> "SpanPool":
        """Every run of `length` neighbouring spans as one; there are length - 1 fewer."""
        pool = SpanPool(0)
        pool.sums, pool.squares, pool.frames = (
            sliding_window_view(values, min(length, len(values)), axis=0).sum(axis=-1)
            for values in (self.sums, self.squares, self.frames)
        )
        return pool

    @property
    def seconds(self) -> NDArray[np.float32]:
        return self.frames * np.float32(TRUNK_FRAME_S)

    def embeddings(self, network: VoiceNetwork) -> Matrix:
        """(spans, 192) unit vectors; meaningless for a span of less than two frames."""
        count: Matrix = np.maximum(self.frames, 1)[:, None]
        means = self.sums / count
        variances: Matrix = np.maximum(self.squares / count - means * means, 0) * count / np.maximum(count - 1, 1)
        return network.embed(means, np.sqrt(variances))


def voice_frames(
    features: FeatureStore, normalise: Normaliser, network: VoiceNetwork, wanted: NDArray[np.bool_]
) -> Iterator[tuple[int, Matrix]]:
    """(first frame, frames (n, 512)) in order, in chunks with context; chunks without a wanted frame are skipped."""
    raw = features.raw
    total = (len(raw) + 1) // 2
    for begin in range(0, total, CHUNK_FRAMES):
        end = min(begin + CHUNK_FRAMES, total)
        if not wanted[begin:end].any():
            continue
        first = max(begin - CONTEXT_FRAMES, 0)
        chunk = raw[2 * first : 2 * (end + CONTEXT_FRAMES)].astype(np.float32)
        values = network.frames(normalise(chunk))
        yield begin, values[begin - first : end - first]
