"""Algebra of half-open intervals in integer milliseconds: exact, whatever the order and the length."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.domain.ids import SpeakerId

Bounds = tuple[int, int]  # start_ms, end_ms


@dataclass(frozen=True, slots=True)
class Speech:
    """A stretch of one speaker's speech."""

    start_ms: int
    end_ms: int
    speaker: SpeakerId

    @property
    def bounds(self) -> Bounds:
        return self.start_ms, self.end_ms

    @property
    def duration_ms(self) -> int:
        return self.end_ms - self.start_ms


def to_ms(seconds: float) -> int:
    return round(seconds * 1000)


def to_s(milliseconds: int) -> float:
    """Exact to the millisecond: 3 decimals."""
    return milliseconds / 1000


def union(bounds: Iterable[Bounds], join_gap_ms: int = 0) -> list[Bounds]:
    """Sorted and disjoint; pieces with a gap of `join_gap_ms` or less become one. Empty pieces are left out."""
    merged: list[Bounds] = []
    for start, end in sorted(piece for piece in bounds if piece[1] > piece[0]):
        if merged and start - merged[-1][1] <= join_gap_ms:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def measure(disjoint: Iterable[Bounds]) -> int:
    return sum(end - start for start, end in disjoint)


def gaps(disjoint: Sequence[Bounds]) -> Iterator[Bounds]:
    """What lies between the pieces of a union."""
    for (_, end), (start, _) in pairwise(disjoint):
        yield end, start


def intersect(first: Sequence[Bounds], second: Sequence[Bounds]) -> list[Bounds]:
    """Common part of two unions, in one pass."""
    common: list[Bounds] = []
    i = j = 0
    while i < len(first) and j < len(second):
        start, end = max(first[i][0], second[j][0]), min(first[i][1], second[j][1])
        if start < end:
            common.append((start, end))
        if first[i][1] <= second[j][1]:
            i += 1
        else:
            j += 1
    return common


def clip(disjoint: Sequence[Bounds], start: int, end: int) -> list[Bounds]:
    return intersect(disjoint, [(start, end)])
