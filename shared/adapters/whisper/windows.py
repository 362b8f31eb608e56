"""Which stretches of a recording are decoded together, and how times inside them map back to the recording.

Whisper was trained on 30 s, but its encoder takes any length, and costs less a second the shorter it is: 18 ms a second
at 30 s, 15 at 25 s, 9 at 20 s (its attention grows with the square). Speech is packed into windows of at most WINDOW_S
that begin and end in pauses, chosen over the whole recording at once: few windows, cut where the pause is long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from shared.domain.audio import SAMPLE_RATE_HZ, Span
from shared.ports.speech import Samples

WINDOW_S = 24.0  # of 19, 24 and 28.5 the one without more errors than the bare engine in en, ja and zh
WIDEN_S = 0.3  # kept around speech: voice activity misses soft beginnings, and Whisper likes a breath
JOIN_S = 1.0  # pauses up to this stay as they are: they carry punctuation
WINDOW_COST = 3.0  # against 1 / pause: one window more is worth what a cut in a pause of 1/3 s costs
SHORTEST_PAUSE_S = 0.1
QUIET_S = 0.2  # where a stretch has no pause at all it is cut in its quietest 0.2 s


class Audio(Protocol):
    """16 kHz mono, float32: an array, or a file that is read slice by slice."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: slice, /) -> Samples: ...


@dataclass(frozen=True, slots=True)
class Window:
    """Pieces of the recording, joined. Times inside run from 0 to `duration_s`."""

    pieces: tuple[Span, ...]

    @property
    def duration_s(self) -> float:
        return sum(piece.duration_s for piece in self.pieces)

    @property
    def start_s(self) -> float:
        return self.pieces[0].start_s

    def samples(self, audio: Audio) -> Samples:
        return np.concatenate([audio[_at(piece.start_s) : _at(piece.end_s)] for piece in self.pieces])

    def span(self, start_s: float, end_s: float) -> Span:
        """A span inside the window as one of the recording, all in the piece that holds its middle."""
        passed_s, middle_s = 0.0, (start_s + end_s) / 2
        for piece in self.pieces[:-1]:
            if middle_s < passed_s + piece.duration_s:
                break
            passed_s += piece.duration_s
        else:
            piece = self.pieces[-1]
        shift_s = piece.start_s - passed_s
        first_s = min(max(start_s + shift_s, piece.start_s), piece.end_s)
        return Span(first_s, min(max(end_s + shift_s, first_s), piece.end_s))

    def after(self, inside_s: float) -> "Window | None":
        """What is left of the window from a time inside it."""
        left: list[Span] = []
        passed_s = 0.0
        for piece in self.pieces:
            start_s = piece.start_s + max(0.0, inside_s - passed_s)
            if start_s < piece.end_s:
                left.append(Span(start_s, piece.end_s))
            passed_s += piece.duration_s
        return Window(tuple(left)) if left else None

    def speech_s(self, speech: Sequence[Span]) -> float:
        return sum(overlap_s(piece, span) for piece in self.pieces for span in speech)

    def speech_end_s(self, speech: Sequence[Span]) -> float:
        """When the last speech ends, as a time inside the window."""
        end_s = passed_s = 0.0
        for piece in self.pieces:
            ends = [min(span.end_s, piece.end_s) for span in speech if overlap_s(piece, span) > 0]
            if ends:
                end_s = passed_s + max(ends) - piece.start_s
            passed_s += piece.duration_s
        return end_s


def overlap_s(one: Span, other: Span) -> float:
    return max(0.0, min(one.end_s, other.end_s) - max(one.start_s, other.start_s))


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Speech with its margins, and the silence between it and the next speech: 0 where it was cut for its length."""

    span: Span
    pause_s: float = 0.0


def plan_windows(audio: Audio, speech: Sequence[Span], limit_s: float = WINDOW_S) -> list[Window]:
    """Windows of at most `limit_s` that hold all of `speech`, ascending."""
    stretches = [
        short for stretch in _stretches(speech, len(audio) / SAMPLE_RATE_HZ) for short in _cut(audio, stretch, limit_s)
    ]
    cost, cut = [0.0], [0]  # of the cheapest plan for the first n stretches, and where its last window begins
    for end in range(1, len(stretches) + 1):
        found = [(cost[begin] + _cost(stretches[end - 1]), begin) for begin in _beginnings(stretches, end, limit_s)]
        cheapest, begin = min(found)
        cost.append(cheapest)
        cut.append(begin)
    return _windows(stretches, cut)


def _stretches(speech: Sequence[Span], duration_s: float) -> list[_Stretch]:
    """Each span with a margin, up to the middle of the pause at most."""
    made = []
    before_s = 0.0
    for index, span in enumerate(speech):
        last = index + 1 == len(speech)
        pause_s = 0.0 if last else speech[index + 1].start_s - span.end_s
        after_s = duration_s if last else span.end_s + pause_s / 2
        kept = Span(max(span.start_s - WIDEN_S, before_s), min(span.end_s + WIDEN_S, after_s))
        made.append(_Stretch(kept, pause_s))
        before_s = after_s
    return made


def _cut(audio: Audio, stretch: _Stretch, limit_s: float) -> list[_Stretch]:
    """A stretch without a pause for `limit_s` is cut in its quietest places."""
    cut, rest = [], stretch.span
    while rest.duration_s > limit_s:
        cut_s = _quietest(audio, Span(rest.start_s + limit_s / 2, rest.start_s + limit_s))
        cut.append(_Stretch(Span(rest.start_s, cut_s)))
        rest = Span(cut_s, rest.end_s)
    return [*cut, _Stretch(rest, stretch.pause_s)]


def _beginnings(stretches: list[_Stretch], end: int, limit_s: float) -> range:
    """Where a window that ends before stretch `end` may begin: at least its last stretch alone."""
    begin, total_s = end - 1, stretches[end - 1].span.duration_s
    while begin > 0:
        before, after = stretches[begin - 1].span, stretches[begin].span
        silence_s = after.start_s - before.end_s
        total_s += before.duration_s + (silence_s if silence_s <= JOIN_S else 0.0)
        if total_s > limit_s:
            break
        begin -= 1
    return range(begin, end)


def _cost(last: _Stretch) -> float:
    """Of a window by its last stretch: cheap before a long pause."""
    return WINDOW_COST + 1.0 / max(last.pause_s, SHORTEST_PAUSE_S)


def _windows(stretches: list[_Stretch], cut: list[int]) -> list[Window]:
    windows, end = [], len(stretches)
    while end:
        windows.append(Window(_joined(stretches[cut[end] : end])))
        end = cut[end]
    return windows[::-1]


def _joined(stretches: Sequence[_Stretch]) -> tuple[Span, ...]:
    pieces = [stretches[0].span]
    for stretch in stretches[1:]:
        if stretch.span.start_s - pieces[-1].end_s <= JOIN_S:
            pieces[-1] = Span(pieces[-1].start_s, stretch.span.end_s)
        else:
            pieces.append(stretch.span)
    return tuple(pieces)


def _quietest(audio: Audio, search: Span) -> float:
    """The middle of the quietest QUIET_S in `search`."""
    heard = audio[_at(search.start_s) : _at(search.end_s)].astype(np.float64)
    width = _at(QUIET_S)
    energy = np.cumsum(np.concatenate([[0.0], heard * heard]))
    return search.start_s + (int(np.argmin(energy[width:] - energy[:-width])) + width / 2) / SAMPLE_RATE_HZ


def _at(time_s: float) -> int:
    return round(time_s * SAMPLE_RATE_HZ)
