"""Geometry of the report's drawings: SVG path data in a fixed box, so that the templates only place and colour it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.text.labels import clock
from shared.domain.ids import SpeakerId
from shared.domain.insight import EmotionPoint, EventType
from shared.domain.result import ResultDocument

WIDTH = 1000.0
ROW_HEIGHT, ROW_GAP = 26.0, 12.0
SHARES_HEIGHT = 160.0
FEELING_HEIGHT = 60.0  # of one speaker; nothing felt is in the middle
LEAST_MARK = 1.0  # a short "yes" in an hour would be thinner than a pixel
TICK_STEPS_S = (5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600)
MOST_TICKS = 10


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """One speaker's turns as one path."""

    speaker: SpeakerId
    y: float
    path: str


@dataclass(frozen=True, slots=True)
class TurnChart:
    height: float
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    interruptions: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FeelingRow:
    """One speaker's course: paths of pleasant and unpleasant words, and the voice as a line."""

    speaker: SpeakerId
    pleasant: str
    unpleasant: str
    voice: str


@dataclass(frozen=True, slots=True)
class Band:
    """One speaker's share over time, stacked on the speakers before."""

    speaker: SpeakerId
    points: str


@dataclass(frozen=True, slots=True)
class ShareChart:
    bands: tuple[Band, ...]
    ticks: tuple[Tick, ...]


def turn_chart(document: ResultDocument) -> TurnChart | None:
    if not document.turns:
        return None
    scale = WIDTH / document.audio.duration_s
    rows = tuple(_row(document, number, scale) for number in range(len(document.speakers)))
    cut_in = (e.time for e in document.report.conversation_events if e.type is EventType.INTERRUPTION)
    height = len(rows) * (ROW_HEIGHT + ROW_GAP)
    return TurnChart(height, rows, _ticks(0, document.audio.duration_s), tuple(round(t * scale, 1) for t in cut_in))


def _row(document: ResultDocument, number: int, scale: float) -> Row:
    speaker, y = document.speakers[number].id, number * (ROW_HEIGHT + ROW_GAP) + ROW_GAP
    own = (turn for turn in document.turns if turn.speaker == speaker)
    marks = (_mark(turn.start_s * scale, max(LEAST_MARK, turn.duration_s * scale), y) for turn in own)
    return Row(speaker, y, "".join(marks))


def _mark(x: float, width: float, y: float) -> str:
    return f"M{x:.1f} {y:g}h{width:.1f}v{ROW_HEIGHT:g}h{-width:.1f}z"


def _ticks(start_s: float, end_s: float) -> tuple[Tick, ...]:
    span_s = end_s - start_s
    step_s = next((step for step in TICK_STEPS_S if span_s / step <= MOST_TICKS), TICK_STEPS_S[-1])
    first = int(-(-start_s // step_s)) * step_s
    seconds = range(first, int(end_s) + 1, step_s)
    return tuple(Tick(round((at - start_s) * WIDTH / span_s, 1), clock(at).removeprefix("00:")) for at in seconds)


def share_chart(document: ResultDocument) -> ShareChart | None:
    """None where fewer than two windows have speech: there is no course to show."""
    windows = [window for window in document.metrics.timeline if window.shares]
    if len(windows) < 2:
        return None
    middles_s = [(window.start_s + window.end_s) / 2 for window in windows]
    scale = WIDTH / (middles_s[-1] - middles_s[0])
    xs = [(middle - middles_s[0]) * scale for middle in middles_s]
    floor = [0.0] * len(windows)
    bands = []
    for speaker in document.speakers:
        top = [low + window.shares.get(speaker.id, 0.0) for low, window in zip(floor, windows, strict=True)]
        bands.append(Band(speaker.id, _outline(xs, floor, top)))
        floor = top
    return ShareChart(tuple(bands), _ticks(middles_s[0], middles_s[-1]))


def _outline(xs: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    there = [f"{x:.1f},{(1 - y) * SHARES_HEIGHT:.1f}" for x, y in zip(xs, high, strict=True)]
    back = [f"{x:.1f},{(1 - y) * SHARES_HEIGHT:.1f}" for x, y in zip(xs, low, strict=True)]
    return " ".join([*there, *reversed(back)])


def feeling_rows(document: ResultDocument) -> list[FeelingRow]:
    """Empty where fewer than two windows tell anything: there is no course to show."""
    points = document.report.emotion_analysis.timeline
    if len(points) < 2:
        return []
    scale = WIDTH / document.audio.duration_s
    return [_feeling_row(s.id, [p for p in points if p.speaker == s.id], scale) for s in document.speakers]


def _feeling_row(speaker: SpeakerId, points: Sequence[EmotionPoint], scale: float) -> FeelingRow:
    felt = [(point, point.valence) for point in points if point.valence]
    line = [(point, point.arousal) for point in points if point.arousal is not None]
    middles = (((p.start_s + p.end_s) / 2 * scale, _height(value)) for p, value in line)
    return FeelingRow(
        speaker,
        "".join(_pillar(point, value, scale) for point, value in felt if value > 0),
        "".join(_pillar(point, value, scale) for point, value in felt if value < 0),
        " ".join(f"{x:.1f},{y:.1f}" for x, y in middles) if len(line) > 1 else "",
    )


def _pillar(point: EmotionPoint, value: float, scale: float) -> str:
    x, width = point.start_s * scale, (point.end_s - point.start_s) * scale
    middle, end = FEELING_HEIGHT / 2, _height(value)
    return f"M{x:.1f} {middle:g}h{width:.1f}V{end:.1f}h{-width:.1f}z"


def _height(value: float) -> float:
    return FEELING_HEIGHT / 2 * (1 - value)
