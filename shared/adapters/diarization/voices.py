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
_LEAVES = (4, 8, 16)  # groups of the tree that are joined by likeness for further starts
_RECENTRINGS = 2  # of the centre between the voices found
_SMALL_SHARE = 0.16  # divided by the number of voices: a smaller group counts as an odd second
_SMALL_PENALTY = 0.5  # in units of cosine; two people differ from two halves of one by 0.3 and more
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
    labels = group(embeddings, weights, count)
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


# ---- k-means


def group(embeddings: Matrix, weights: NDArray[np.float32], count: int) -> Labels:
    """Labels 0..count-1 of unit vectors: of many starts, the grouping whose voices differ most."""
    if count == 1 or len(embeddings) <= count:
        return np.arange(len(embeddings)) % count
    settled = (_settle(embeddings, weights, start, count) for start in _starts(embeddings, weights, count))
    found = [labels for labels in settled if labels is not None]
    if not found:
        return np.arange(len(embeddings)) % count
    return min(found, key=lambda labels: _likeness(embeddings, weights, labels, count))


def _starts(embeddings: Matrix, weights: NDArray[np.float32], count: int) -> Iterator[Labels]:
    if count == 2:
        centred = embeddings - np.average(embeddings, axis=0, weights=weights)
        axes = np.linalg.eigh((centred * weights[:, None]).T @ centred)[1][:, :-4:-1]
        yield from (centred @ axes > 0).T.astype(np.intp)
    spread = np.linspace(0, len(embeddings) - 1, min(len(embeddings), _TREE_MOST)).astype(np.intp)
    some, their = embeddings[spread], weights[spread]
    tree = linkage(some, "ward")
    for leaves in (count, *_LEAVES):
        merged = _merge_alike(some, their, fcluster(tree, leaves, "maxclust") - 1, count)
        yield _nearest(embeddings, _means(some, their, merged, count))
    chance = np.random.default_rng(0)
    for _ in range(_RANDOM_STARTS):
        yield _nearest(embeddings, embeddings[chance.choice(len(embeddings), count, replace=False)])


def _merge_alike(embeddings: Matrix, weights: NDArray[np.float32], labels: Labels, count: int) -> Labels:
    """Joins the most alike groups until `count` are left: finds who says little beside one who says much."""
    while (groups := int(labels.max()) + 1) > count:
        means = unit(_means(embeddings, weights, labels, groups))
        cosines = np.triu(means @ means.T + 2, 1)  # shifted above the zeros of the lower half
        first, second = np.unravel_index(cosines.argmax(), cosines.shape)
        labels = np.where(labels == second, first, labels)
        labels = np.where(labels > second, labels - 1, labels)
    return labels


def _nearest(embeddings: Matrix, centres: Matrix) -> Labels:
    """Nearest by distance, not by angle: the shared part of a line cancels, however much one person says."""
    labels: Labels = (embeddings @ centres.T - (centres**2).sum(axis=1) / 2).argmax(axis=1)
    return labels


def _settle(embeddings: Matrix, weights: NDArray[np.float32], labels: Labels, count: int) -> Labels | None:
    """Rounds of k-means until nothing moves; None when a group dies out."""
    for _ in range(_ROUNDS):
        if len(np.unique(labels)) < count:
            return None
        moved = _nearest(embeddings, _means(embeddings, weights, labels, count))
        if (moved == labels).all():
            break
        labels = moved
    return labels


def _likeness(embeddings: Matrix, weights: NDArray[np.float32], labels: Labels, count: int) -> float:
    """Largest cosine between two groups' means, and a penalty when the smallest group is hardly one."""
    means = unit(_means(embeddings, weights, labels, count))
    least = _SMALL_SHARE / count
    share = min(weights[labels == label].sum() for label in range(count)) / weights.sum()
    return nearest_pair(means) + _SMALL_PENALTY * max(0.0, least - float(share)) / least


def nearest_pair(vectors: Matrix) -> float:
    """The largest cosine between two of the unit vectors."""
    return float((vectors @ vectors.T)[np.triu_indices(len(vectors), 1)].max())
