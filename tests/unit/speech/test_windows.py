"""Which speech is decoded together, and that times find their way back."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.whisper.windows import WINDOW_S, Window, plan_windows
from shared.domain.audio import SAMPLE_RATE_HZ, Span

pytestmark = pytest.mark.unit

CLOSE_S = 1 / SAMPLE_RATE_HZ  # a recording ends on a whole sample


def silence(duration_s: float) -> np.ndarray:
    return np.zeros(math.ceil(duration_s * SAMPLE_RATE_HZ), np.float32)


@st.composite
def speech(draw: st.DrawFn) -> tuple[list[Span], float]:
    """Stretches of speech and the length of the recording around them."""
    now_s, spans = 0.0, []
    for _ in range(draw(st.integers(1, 12))):
        now_s += draw(st.floats(0.3, 6.0))
        end_s = now_s + draw(st.floats(0.1, 45.0))
        spans.append(Span(now_s, end_s))
        now_s = end_s
    return spans, now_s + draw(st.floats(0.0, 3.0))


@given(speech())
def test_windows_hold_all_speech_and_nothing_twice(case: tuple[list[Span], float]) -> None:
    """Whatever the pauses, every instant of speech is in exactly one window of at most the longest length."""
    spans, duration_s = case
    windows = plan_windows(silence(duration_s), spans)
    assert sum(window.speech_s(spans) for window in windows) == pytest.approx(sum(span.duration_s for span in spans))
    assert all(window.duration_s <= WINDOW_S + CLOSE_S for window in windows)
    edges = [edge for window in windows for piece in window.pieces for edge in (piece.start_s, piece.end_s)]
    assert edges == sorted(edges)
    assert edges[0] >= 0.0
    assert edges[-1] <= duration_s + CLOSE_S


@given(speech(), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_times_inside_a_window_map_into_its_pieces(case: tuple[list[Span], float], one: float, other: float) -> None:
    """A word never lands in a silence that was left out, and never ends before it begins."""
    spans, duration_s = case
    for window in plan_windows(silence(duration_s), spans):
        start_s, end_s = sorted((one * window.duration_s, other * window.duration_s))
        placed = window.span(start_s, end_s)
        assert placed.start_s <= placed.end_s
        assert any(p.start_s <= placed.start_s and placed.end_s <= p.end_s for p in window.pieces)


def test_cuts_where_the_pause_is_long() -> None:
    """Of two pauses that would both do, the sentence's end is cut and not the breath."""
    spans = [Span(1.0, 8.0), Span(8.4, 12.0), Span(14.0, 22.0)]
    first, second = plan_windows(silence(25.0), spans, 19.0)
    assert first.pieces[-1].end_s < 13.0
    assert second.start_s > 13.0


def test_long_silence_is_left_out_and_a_breath_kept() -> None:
    """A minute of silence costs nothing; a pause in a sentence stays, because it carries punctuation."""
    spans = [Span(0.5, 3.0), Span(3.5, 6.0), Span(66.0, 70.0)]
    (window,) = plan_windows(silence(72.0), spans)
    assert len(window.pieces) == 2
    assert window.duration_s < 12.0
    assert len(window.samples(silence(72.0))) == pytest.approx(window.duration_s * SAMPLE_RATE_HZ, abs=2)


def test_speech_without_a_pause_is_cut_in_its_quietest_place() -> None:
    """Half a minute of talk in one breath: the cut falls into the softest moment of the second half of a window."""
    audio = np.ones(30 * SAMPLE_RATE_HZ, np.float32)
    audio[int(14.0 * SAMPLE_RATE_HZ) : int(14.3 * SAMPLE_RATE_HZ)] = 0.01
    first, second = plan_windows(audio, [Span(0.0, 30.0)])
    assert first.pieces[-1].end_s == pytest.approx(14.15, abs=0.1)
    assert second.start_s == first.pieces[-1].end_s


def test_what_is_left_after_a_time_inside() -> None:
    """The rest of a window begins in the right piece, and nothing is left at its end."""
    window = Window((Span(10.0, 14.0), Span(20.0, 26.0)))
    rest = window.after(5.0)
    assert rest == Window((Span(21.0, 26.0),))
    assert window.after(2.0) == Window((Span(12.0, 14.0), Span(20.0, 26.0)))
    assert window.after(window.duration_s) is None


def test_the_end_of_speech_inside_a_window() -> None:
    """The margin after the last word does not count."""
    window = Window((Span(10.0, 14.0), Span(20.0, 26.0)))
    assert window.speech_end_s([Span(10.2, 13.8), Span(20.3, 24.0)]) == pytest.approx(8.0)
