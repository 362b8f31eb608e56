"""Sums over spans equal the statistics of the frames that they stand for."""

import numpy as np
import pytest

from shared.adapters.diarization.engines import TRUNK_VALUES
from shared.adapters.diarization.pooling import NO_SPAN, SpanPool

pytestmark = pytest.mark.unit

_CHANCE = np.random.default_rng(0)
_FRAMES = _CHANCE.random((60, TRUNK_VALUES)).astype(np.float32)
_LABELS = np.repeat([0, NO_SPAN, 1, 2, 3], 12)


def _pool() -> SpanPool:
    pool = SpanPool(4)
    for first in range(0, 60, 25):  # blocks that cut through spans
        pool.add(_LABELS[first : first + 25], _FRAMES[first : first + 25])
    return pool


def test_blocks_do_not_matter() -> None:
    """Sums, squares and counts are those of all frames of a span, however the frames arrive."""
    pool = _pool()
    for span in range(4):
        own = _FRAMES[span == _LABELS]
        assert np.allclose(pool.sums[span], own.sum(axis=0), rtol=1e-5)
        assert np.allclose(pool.squares[span], (own**2).sum(axis=0), rtol=1e-5)
    assert pool.frames.tolist() == [12, 12, 12, 12]


def test_merging_adds_and_leaves_out() -> None:
    """Merged spans add up; NO_SPAN leaves a row out."""
    merged = _pool().merged(np.array([1, 0, NO_SPAN, 0]), 2)
    assert np.allclose(merged.sums[0], _FRAMES[(_LABELS == 1) | (_LABELS == 3)].sum(axis=0), rtol=1e-5)
    assert merged.frames.tolist() == [24, 12]


def test_sliding_joins_neighbours() -> None:
    """Windows of two cells: each is the sum of a cell and the next."""
    pool = _pool()
    windows = pool.sliding(2)
    assert np.allclose(windows.sums, pool.sums[:-1] + pool.sums[1:])
    assert windows.frames.tolist() == [24, 24, 24]


def test_sliding_over_less_than_a_window() -> None:
    """Fewer cells than a window has give one window of what there is."""
    assert _pool().sliding(9).frames.tolist() == [48]
