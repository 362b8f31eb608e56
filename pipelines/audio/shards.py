"""Cut a recording into pieces that are recognised side by side. Cuts lie in silence; offsets are integer samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipelines.audio.levels import BLOCK, Levels
from shared.domain.audio import SAMPLE_RATE_HZ, Span

MAX_SAMPLES = 300 * SAMPLE_RATE_HZ  # 5 min are recognised in 90 s at most, well inside the 240 s soft limit
SPLIT_FROM_SAMPLES = 60 * SAMPLE_RATE_HZ  # below this a second process gains less than its start costs
_SPEECH_A_PIECE_S = 20.0  # less does not repay a recogniser's window of 30 s
_PLANNED_SAMPLES = 240 * SAMPLE_RATE_HZ  # leaves the cuts room to move below the limit
_PAUSE_SAMPLES = 30 * SAMPLE_RATE_HZ  # a longer silence needs no piece of its own
_REACHES = (0.1, 0.25, 0.5)  # of a piece: how far a cut moves to find silence; near ones keep the pieces even
_QUIET_BLOCKS = 6  # a forced cut wants 0.2 s that are quiet as a whole, not one block between two beats


Stretch = tuple[int, int]  # half-open, in samples


@dataclass(frozen=True, slots=True)
class Piece:
    """`speech` is relative to the piece's own start."""

    start_sample: int
    samples: int
    speech: tuple[Span, ...]


def share_out(speech_s: Sequence[float], pieces: int) -> list[int]:
    """How many pieces each track gets, by its share of all speech."""
    total_s = sum(speech_s)
    return [max(1, round(pieces * own_s / total_s)) if total_s else 1 for own_s in speech_s]


def cut(samples: int, speech: Sequence[Span], pieces: int, levels: Levels) -> tuple[Piece, ...]:
    """All of the speech in pieces of at most 300 s, at least `pieces` of them where that is worth it.

    Pieces without speech are left out.
    """
    gaps = _gaps(speech, samples)
    count = _count(samples, gaps, _seconds(speech), pieces)
    edges = [0, *_cuts(samples, speech, gaps, count, levels), samples]
    found = (Piece(start, end - start, _within(speech, start, end)) for start, end in pairwise(edges))
    return tuple(piece for piece in found if piece.speech)


def _count(samples: int, gaps: Sequence[Stretch], speech_s: float, pieces: int) -> int:
    """A whole number of rounds for `pieces` workers, of no more workers than are worth it."""
    if samples < SPLIT_FROM_SAMPLES:
        return 1
    workers = min(pieces, max(1, int(speech_s / _SPEECH_A_PIECE_S)))
    idle = sum(max(0, end - begin - _PAUSE_SAMPLES) for begin, end in gaps)
    return workers * math.ceil((samples - idle) / (_PLANNED_SAMPLES * workers))


def _cuts(samples: int, speech: Sequence[Span], gaps: Sequence[Stretch], count: int, levels: Levels) -> list[int]:
    """From left to right, each piece with an equal part of the speech, and none longer than the limit."""
    cuts, start = list[int](), 0
    part_s = _seconds(speech) / count
    while part_s > 0:
        left_s = _seconds(_within(speech, start, samples))
        left, latest = min(round(left_s / part_s), count - len(cuts)), min(start + MAX_SAMPLES, samples - 1)
        if left <= 1 and samples - start <= MAX_SAMPLES:
            break
        wanted = _after_speech(speech, start, left_s / left) if left > 1 else latest
        start = _best_cut(gaps, start, min(wanted, latest), latest, levels)
        cuts.append(start)
    return cuts


def _best_cut(gaps: Sequence[Stretch], start: int, target: int, latest: int, levels: Levels) -> int:
    """In the longest silence near the target; where there is none at all, where it is quietest."""
    window = (target, target)
    for share in _REACHES:
        reach = int(share * (target - start))
        window = max(start + 1, target - reach), min(target + reach, latest)
        inside = ((max(begin, window[0]), min(end, window[1])) for begin, end in gaps)
        begin, end = max(inside, key=lambda gap: gap[1] - gap[0], default=(0, 0))
        if end > begin:
            return (begin + end) // 2
    return _quietest(levels, *window)


def _quietest(levels: Levels, first: int, last: int) -> int:
    window = levels[first // BLOCK : max(last // BLOCK, first // BLOCK + 1)]
    if len(window) < _QUIET_BLOCKS:
        return (first + last) // 2
    means = np.convolve(window, np.full(_QUIET_BLOCKS, 1 / _QUIET_BLOCKS), "valid")
    middle = (first // BLOCK + int(np.argmin(means))) * BLOCK + _QUIET_BLOCKS * BLOCK // 2
    return min(max(middle, first), last)


def _gaps(speech: Sequence[Span], samples: int) -> list[Stretch]:
    """What lies between the spans; the gate has made sure that each is a silence of 0.3 s or more."""
    edges = [0, *(edge for span in speech for edge in (_sample(span.start_s), _sample(span.end_s))), samples]
    return [(begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True) if end > begin]


def _within(speech: Sequence[Span], start: int, end: int) -> tuple[Span, ...]:
    clipped = ((max(_sample(span.start_s), start), min(_sample(span.end_s), end)) for span in speech)
    return tuple(
        Span((first - start) / SAMPLE_RATE_HZ, (last - start) / SAMPLE_RATE_HZ)
        for first, last in clipped
        if last > first
    )


def _after_speech(speech: Sequence[Span], start: int, wanted_s: float) -> int:
    """The sample by which `wanted_s` of speech have been heard since `start`."""
    for span in speech:
        begin, end = max(_sample(span.start_s), start), _sample(span.end_s)
        if end <= begin:
            continue
        if wanted_s <= (end - begin) / SAMPLE_RATE_HZ:
            return begin + _sample(wanted_s)
        wanted_s -= (end - begin) / SAMPLE_RATE_HZ
    return start + MAX_SAMPLES


def _seconds(speech: Sequence[Span]) -> float:
    return sum(span.duration_s for span in speech)


def _sample(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
