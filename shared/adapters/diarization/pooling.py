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

_BLOCK_SPANS = 1000  # windows embedded at once: 20 MB

FrameLabels = NDArray[np.int64]


class SpanPool:
    """Sums over spans; merging spans is adding rows."""

    def __init__(self, spans: int) -> None:
        self.sums = np.zeros((spans, TRUNK_VALUES), np.float32)
        self.squares = np.zeros((spans, TRUNK_VALUES), np.float32)
        self.frames = np.zeros(spans, np.float32)

    def add(self, labels: FrameLabels, values: Matrix) -> None:
        """`labels` names the span of each row of `values`; NO_SPAN rows are left out."""
        begins = np.flatnonzero(np.diff(labels, prepend=NO_SPAN - 1))  # runs of one label, summed run by run
        kept = labels[begins] != NO_SPAN
        spans = labels[begins][kept]
        np.add.at(self.sums, spans, np.add.reduceat(values, begins, axis=0)[kept])
        np.add.at(self.squares, spans, np.add.reduceat(values * values, begins, axis=0)[kept])
        np.add.at(self.frames, spans, np.diff(begins, append=len(labels))[kept])

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

    def window_embeddings(self, length: int, network: VoiceNetwork) -> tuple[Matrix, NDArray[np.float32]]:
        """Embedding and seconds of every sliding window, without ever holding the sums of all of them."""
        first_rows = range(0, max(1, len(self.frames) - length + 1), _BLOCK_SPANS)
        embeddings, seconds = [], []
        for first in first_rows:
            windows = self.part(first, first + _BLOCK_SPANS + length - 1).sliding(length)
            embeddings.append(windows.embeddings(network))
            seconds.append(windows.seconds)
        return np.concatenate(embeddings), np.concatenate(seconds)

    def part(self, first: int, last: int) -> "SpanPool":
        pool = SpanPool(0)
        pool.sums, pool.squares, pool.frames = self.sums[first:last], self.squares[first:last], self.frames[first:last]
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
