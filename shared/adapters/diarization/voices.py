"""Whose voice: embeddings of short windows grouped into a given number of voices, and the evidence for each.

Cosines are taken from a centre between the voices, not from zero: on one telephone line all embeddings share a large
common part that says nothing about the person. Groups come from k-means with several starts; a tree cut at the wished
number likes to split off one odd second.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from shared.adapters.diarization.engines import Matrix, unit

Labels = NDArray[np.intp]

_ROUNDS = 30  # of k-means; it settles in about ten
_RANDOM_STARTS = 8
_TREE_MOST = 800  # windows for the tree that gives one of the starts; its cost grows with the square
_RECENTRINGS = 2  # of the centre between the voices found
_SMALL_SHARE = 0.16  # divided by the number of voices: a smaller group counts as an odd second
_SMALL_PENALTY = 0.5  # in units of the mean cosine to the own voice
_MOST_BEHIND = 3.0  # no voice is held more unlikely than this on one window's word


@dataclass(frozen=True, slots=True)
class Voices:
    """A fitted set of voices."""

    centre: Matrix  # (192,)
    directions: Matrix  # (voices, 192) unit vectors from the centre
    offsets: Matrix  # (voices,) the cosine that speaks neither for nor against
    scale: float  # cosine per unit of evidence

    def evidence(self, embeddings: Matrix) -> Matrix:
        """(n, voices): about +1.5 for the voice that speaks, -1.5 for the others when there are two."""
        scores = (self._cosines(embeddings) - self.offsets) / self.scale
        held = np.maximum(scores, scores.max(axis=1, keepdims=True) - _MOST_BEHIND)
        balanced: Matrix = held - held.mean(axis=1, keepdims=True)
        return balanced

    def _cosines(self, embeddings: Matrix) -> Matrix:
        cosines: Matrix = unit(embeddings - self.centre) @ self.directions.T
        return cosines


def fit_voices(embeddings: Matrix, weights: NDArray[np.float32], count: int) -> Voices:
    """`embeddings` are unit vectors (n, 192), `weights` their seconds of clean speech; n is at least `count`."""
    centre = np.average(embeddings, axis=0, weights=weights)
    labels = group(unit(embeddings - centre), weights, count)
    for _ in range(_RECENTRINGS):
        centre = _means(embeddings, weights, labels, count).mean(axis=0)
        centred = unit(embeddings - centre)
        directions = unit(_means(centred, weights, labels, count))
        moved = (centred @ directions.T).argmax(axis=1)
        if len(np.unique(moved)) < count:
            break
        labels = moved
    cosines = centred @ directions.T
    offsets, scale = _calibrate(cosines, labels)
    return Voices(centre, directions, offsets, scale)


def _calibrate(cosines: Matrix, labels: Labels) -> tuple[Matrix, float]:
    """Between a voice's cosine to its own windows and to the others' lie its offset and the scale of evidence."""
    voices = range(cosines.shape[1])
    own = np.array([cosines[labels == voice, voice].mean() for voice in voices])
    cross = np.array([cosines[labels != voice, voice].mean() for voice in voices])
    return ((own + cross) / 2).astype(np.float32), max(float((own - cross).mean()) / 2, 1e-6)


def _means(embeddings: Matrix, weights: NDArray[np.float32], labels: Labels, count: int) -> Matrix:
    member = np.equal.outer(np.arange(count), labels) * weights
    means: Matrix = member @ embeddings / np.maximum(member.sum(axis=1, keepdims=True), 1e-6)
    return means.astype(np.float32)


# ---- spherical k-means


def group(vectors: Matrix, weights: NDArray[np.float32], count: int) -> Labels:
    """Labels 0..count-1 of unit vectors; the best of several starts."""
    best, labels = -np.inf, np.zeros(len(vectors), np.intp)
    if count == 1 or len(vectors) <= count:
        return np.arange(len(vectors)) % count
    for start in _starts(vectors, weights, count):
        settled = _settle(vectors, weights, start, count)
        if settled is not None and (value := _objective(vectors, weights, settled, count)) > best:
            best, labels = value, settled
    return labels


def _starts(vectors: Matrix, weights: NDArray[np.float32], count: int) -> Iterator[Labels]:
    if count == 2:
        axes = np.linalg.eigh((vectors * weights[:, None]).T @ vectors)[1][:, :-4:-1]
        yield from (vectors @ axes > 0).T.astype(np.intp)
    spread = np.linspace(0, len(vectors) - 1, min(len(vectors), _TREE_MOST)).astype(np.intp)
    leaves = fcluster(linkage(vectors[spread], "ward"), count, "maxclust") - 1
    yield _nearest(vectors, _means(vectors[spread], weights[spread], leaves, count))
    chance = np.random.default_rng(0)
    for _ in range(_RANDOM_STARTS):
        yield _nearest(vectors, vectors[chance.choice(len(vectors), count, replace=False)])


def _nearest(vectors: Matrix, centres: Matrix) -> Labels:
    labels: Labels = (vectors @ centres.T).argmax(axis=1)
    return labels


def _settle(vectors: Matrix, weights: NDArray[np.float32], labels: Labels, count: int) -> Labels | None:
    """Rounds of k-means until nothing moves; None when a group dies out."""
    for _ in range(_ROUNDS):
        if len(np.unique(labels)) < count:
            return None
        moved = _nearest(vectors, unit(_means(vectors, weights, labels, count)))
        if (moved == labels).all():
            break
        labels = moved
    return labels


def _objective(vectors: Matrix, weights: NDArray[np.float32], labels: Labels, count: int) -> float:
    """Mean cosine to the own group, less a penalty when the smallest group is hardly one."""
    member = np.equal.outer(np.arange(count), labels) * weights
    cosine = np.linalg.norm(member @ vectors, axis=1).sum() / weights.sum()
    least, share = _SMALL_SHARE / count, member.sum(axis=1).min() / weights.sum()
    return float(cosine - _SMALL_PENALTY * max(0.0, least - share) / least)
