"""Cutting a recording into pieces: nothing lost, nothing doubled, no piece too long."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.audio.levels import BLOCK
from pipelines.audio.shards import MAX_SAMPLES, Piece, cut, share_out
from shared.domain.audio import SAMPLE_RATE_HZ, Span

pytestmark = pytest.mark.unit

steps = st.lists(st.tuples(st.integers(4_800, 500_000), st.integers(1_600, 3_000_000)), max_size=60)


def _speech(lengths: list[tuple[int, int]]) -> tuple[tuple[Span, ...], int]:
    """Silence and speech in turn, given in samples; and the recording's length."""
    spans, now = [], 0
    for silence, voice in lengths:
        start, now = now + silence, now + silence + voice
        spans.append(Span(start / SAMPLE_RATE_HZ, now / SAMPLE_RATE_HZ))
    return tuple(spans), now + 8_000


def _flat(samples: int) -> np.ndarray:
    return np.zeros(samples // BLOCK + 1)


def _cut(lengths: list[tuple[int, int]], pieces: int) -> tuple[tuple[Piece, ...], tuple[Span, ...], int]:
    speech, samples = _speech(lengths)
    return cut(samples, speech, pieces, _flat(samples)), speech, samples


def _on_the_time_line(pieces: tuple[Piece, ...]) -> list[tuple[int, int]]:
    """The speech of all pieces in samples, with parts that a cut has made put together again."""
    joined: list[tuple[int, int]] = []
    for piece in pieces:
        for span in piece.speech:
            start = piece.start_sample + round(span.start_s * SAMPLE_RATE_HZ)
            end = piece.start_sample + round(span.end_s * SAMPLE_RATE_HZ)
            if joined and joined[-1][1] == start:
                start = joined.pop()[0]
            joined.append((start, end))
    return joined


@settings(max_examples=200, deadline=None)
@given(steps, st.integers(1, 8))
def test_all_speech_is_in_exactly_one_piece(lengths: list[tuple[int, int]], pieces: int) -> None:
    """To the sample."""
    found, speech, _ = _cut(lengths, pieces)
    expected = [(round(s.start_s * SAMPLE_RATE_HZ), round(s.end_s * SAMPLE_RATE_HZ)) for s in speech]
    assert _on_the_time_line(found) == expected


@settings(max_examples=200, deadline=None)
@given(steps, st.integers(1, 8))
def test_pieces_are_bounded_apart_and_inside(lengths: list[tuple[int, int]], pieces: int) -> None:
    """None above five minutes, none without speech, none over another's edge."""
    found, _, samples = _cut(lengths, pieces)
    ends = [0]
    for piece in found:
        assert 0 < piece.samples <= MAX_SAMPLES
        assert piece.start_sample >= ends[-1]
        assert piece.speech
        assert all(0 <= span.start_s < span.end_s <= piece.samples / SAMPLE_RATE_HZ for span in piece.speech)
        ends.append(piece.start_sample + piece.samples)
    assert ends[-1] <= samples


@pytest.mark.parametrize("pieces", [1, 2, 3, 4])
def test_both_cores_get_work(pieces: int) -> None:
    """At least as many pieces as asked for, of about the same amount of speech."""
    found, _, _ = _cut([(8_000, 56_000)] * 40, pieces)
    speech_s = [sum(span.duration_s for span in piece.speech) for piece in found]
    assert len(found) == pieces
    assert max(speech_s) < 1.2 * sum(speech_s) / pieces


def test_a_short_recording_stays_whole() -> None:
    """Below a minute, or with little speech, a second piece would cost more than it gains."""
    assert len(_cut([(8_000, 56_000)] * 12, 4)[0]) == 1
    assert len(_cut([(1_600_000, 160_000)] * 2, 4)[0]) == 1


def test_the_longest_silence_near_the_middle_is_cut() -> None:
    """Five seconds from the middle lies a pause of three seconds; all the others have half a second."""
    lengths = [(8_000, 72_000)] * 24
    lengths[12] = (48_000, 72_000)
    first, second = _cut(lengths, 2)[0]
    pause_end = sum(map(sum, lengths[:12])) + 48_000
    assert pause_end - 48_000 < second.start_sample < pause_end
    assert first.samples == second.start_sample


def test_an_hour_in_rounds() -> None:
    """A whole number of pieces for each of two processes, and long silences carry no piece of their own."""
    found, _, _ = _cut([(8_000, 152_000)] * 360, 2)
    assert len(found) % 2 == 0
    quiet_hour, _, _ = _cut([(8_000, 500_000), (60 * 60 * SAMPLE_RATE_HZ, 500_000)], 2)
    assert len(quiet_hour) == 2


def test_without_any_silence_the_quietest_spot_is_cut() -> None:
    """Ten minutes of one unbroken voice, with a breath that is no silence."""
    samples = 600 * SAMPLE_RATE_HZ
    levels = _flat(samples)
    breath = int(0.48 * len(levels))
    levels[breath : breath + 10] = -20.0
    found = cut(samples, (Span(0.0, 600.0),), 2, levels)
    starts = [piece.start_sample / BLOCK for piece in found]
    assert len(found) >= 3
    assert any(breath <= start <= breath + 10 for start in starts)


def test_nobody_speaks() -> None:
    """No piece at all."""
    assert cut(3_600 * SAMPLE_RATE_HZ, (), 2, _flat(3_600 * SAMPLE_RATE_HZ)) == ()


def test_pieces_are_shared_by_speech() -> None:
    """Each track gets at least one."""
    assert share_out([50.0, 50.0], 2) == [1, 1]
    assert share_out([90.0, 10.0], 4) == [4, 1]
    assert share_out([0.0, 0.0], 4) == [1, 1]
