"""Grouping of voice embeddings: right on synthetic voices, however little one of them says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.adapters.diarization.engines import unit
from shared.adapters.diarization.voices import fit_voices, group, nearest_pair

pytestmark = pytest.mark.unit

_VALUES = 192


def _windows(sizes: tuple[int, ...], seed: int, noise: float = 0.6) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Embeddings of as many windows a voice as `sizes` say, around voices that share a line's common part."""
    chance = np.random.default_rng(seed)
    line = unit(chance.normal(size=_VALUES))
    voices = unit(chance.normal(size=(len(sizes), _VALUES))) + 0.5 * line
    truth = np.repeat(np.arange(len(sizes)), sizes)
    order = chance.permutation(len(truth))
    scattered = voices[truth] + noise * unit(chance.normal(size=(len(truth), _VALUES)))
    return unit(scattered).astype(np.float32)[order], truth[order]


def _same_grouping(labels: NDArray[np.intp], truth: NDArray[np.intp]) -> bool:
    return len(set(zip(labels.tolist(), truth.tolist(), strict=True))) == len(set(truth.tolist()))


@given(st.lists(st.integers(8, 60), min_size=2, max_size=5), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_voices_are_found(sizes: list[int], seed: int) -> None:
    """Every window goes to its own voice, for two to five voices of any share above the smallest."""
    embeddings, truth = _windows((*sizes[:-1], max(sizes[-1], sum(sizes) // 6)), seed)
    weights = np.ones(len(embeddings), np.float32)
    labels = fit_voices(embeddings, weights, len(sizes)).evidence(embeddings).argmax(axis=1)
    assert (labels == labels[0]).sum() < len(labels)
    assert _same_grouping(group(embeddings, weights, len(sizes)), truth)
    assert _same_grouping(labels, truth)


@pytest.mark.parametrize("brief", [6, 12, 25])
def test_who_says_little_is_found(brief: int) -> None:
    """A person with a tenth of the speech and less is one voice; the other is not halved instead."""
    embeddings, truth = _windows((250, brief), seed=brief, noise=1.0)
    labels = group(embeddings, np.ones(len(embeddings), np.float32), 2)
    assert _same_grouping(labels, truth)


def test_one_odd_second_is_not_a_voice() -> None:
    """Three windows of a cough, unlike anything else, do not take the place of the second person."""
    embeddings, truth = _windows((120, 100, 3), seed=4)
    labels = group(embeddings, np.ones(len(embeddings), np.float32), 2)
    spoken = truth < 2
    assert _same_grouping(labels[spoken], truth[spoken])


def test_evidence_is_symmetrical_for_two() -> None:
    """For two voices the evidence for one is the evidence against the other, about 1.5 at most."""
    embeddings, _ = _windows((80, 60), seed=1)
    evidence = fit_voices(embeddings, np.ones(140, np.float32), 2).evidence(embeddings)
    assert np.allclose(evidence.sum(axis=1), 0, atol=1e-5)
    assert np.abs(evidence).max() <= 1.5 + 1e-5


def test_order_of_windows_does_not_matter() -> None:
    """The same windows in reverse give the same grouping."""
    embeddings, _ = _windows((70, 40), seed=2)
    weights = np.ones(110, np.float32)
    assert _same_grouping(group(embeddings[::-1], weights, 2)[::-1], group(embeddings, weights, 2))


def test_nearest_pair_is_the_largest_cosine() -> None:
    """Of three unit vectors the two that are closest count."""
    vectors = unit(np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]], np.float32))
    assert nearest_pair(vectors) == pytest.approx(np.sqrt(0.5), abs=1e-6)
