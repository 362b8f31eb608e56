"""The block-wise Viterbi is exact: it must agree with the plain recursion on anything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.adapters.diarization.viterbi import best_path

pytestmark = pytest.mark.unit

_Evidence = NDArray[np.float32]


def _score(path: NDArray[np.int64], evidence: _Evidence, cost: NDArray[np.float32]) -> float:
    switched = np.flatnonzero(np.diff(path)) + 1
    return float(evidence[np.arange(len(path)), path].sum(dtype=np.float64) - cost[switched].sum(dtype=np.float64))


def _best_score(evidence: _Evidence, cost: NDArray[np.float32]) -> float:
    best = evidence[0].astype(np.float64)
    for gain, price in zip(evidence[1:], cost[1:], strict=True):
        best = np.maximum(best, best.max() - price) + gain
    return float(best.max())


@st.composite
def _problems(draw: st.DrawFn) -> tuple[_Evidence, NDArray[np.float32]]:
    frames, states = draw(st.integers(1, 90)), draw(st.integers(1, 4))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    evidence = chance.normal(size=(frames, states)).astype(np.float32)
    return evidence, chance.uniform(0, draw(st.floats(0, 5)), frames).astype(np.float32)


@settings(deadline=None)
@given(_problems())
def test_reaches_the_best_score(problem: tuple[_Evidence, NDArray[np.float32]]) -> None:
    """No path scores more than the one found, whatever the number of frames and states."""
    evidence, cost = problem
    path = best_path(evidence, cost)
    assert path.shape == (len(evidence),)
    assert _score(path, evidence, cost) == pytest.approx(_best_score(evidence, cost), abs=1e-4)


@settings(deadline=None)
@given(_problems())
def test_names_do_not_matter(problem: tuple[_Evidence, NDArray[np.float32]]) -> None:
    """Renaming the states renames the path and changes nothing else."""
    evidence, cost = problem
    mirrored = best_path(evidence[:, ::-1], cost)
    assert (evidence.shape[1] - 1 - mirrored == best_path(evidence, cost)).all()


def test_a_dear_switch_is_not_made_for_one_frame() -> None:
    """One frame of contrary evidence does not pay for two switches."""
    evidence = np.tile(np.array([1.0, 0.0], np.float32), (20, 1))
    evidence[10] = (0.0, 3.0)
    assert (best_path(evidence, np.full(20, 2.0, np.float32)) == 0).all()
    assert best_path(evidence, np.full(20, 0.5, np.float32))[10] == 1


def test_nothing_gives_nothing() -> None:
    """No frames give an empty path."""
    assert len(best_path(np.zeros((0, 2), np.float32), np.zeros(0, np.float32))) == 0
