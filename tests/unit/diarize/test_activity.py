"""Activity curves from overlapping windows, and the pieces cut from them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.diarization.activity import FRAME_S, Activity, ActivityMeter, pieces, runs
from shared.adapters.diarization.engines import SEGMENTATION_FRAME_SAMPLES

pytestmark = pytest.mark.unit


def test_windows_are_averaged() -> None:
    """Two windows that disagree about a frame give the mean; a frame that only one saw gives its word."""
    silent, spoken = (np.eye(7, dtype=np.float32)[[column] * 100] for column in (0, 1))
    meter = ActivityMeter(150 * SEGMENTATION_FRAME_SAMPLES)
    meter.add(0, silent)
    meter.add(50, spoken)
    speech = meter.result().speech
    assert speech[10] == pytest.approx(0, abs=1e-6)
    assert speech[75] == pytest.approx(0.5, abs=1e-6)
    assert speech[140] == pytest.approx(1, abs=1e-6)


def test_a_window_beyond_the_end_is_cut() -> None:
    """Padding behind the recording's end adds no frames."""
    meter = ActivityMeter(20 * SEGMENTATION_FRAME_SAMPLES)
    meter.add(0, np.eye(7, dtype=np.float32)[[1] * 100])
    assert len(meter.result().speech) == 21


def test_a_change_of_speaker_cuts_a_piece() -> None:
    """One voice stops where another starts, without a pause: two pieces meet there."""
    probabilities = np.eye(7, dtype=np.float32)[[0] * 10 + [1] * 50 + [2] * 50 + [0] * 10]
    meter = ActivityMeter(120 * SEGMENTATION_FRAME_SAMPLES)
    meter.add(0, probabilities)
    assert pieces(meter.result()).tolist() == [[10, 60], [60, 110]]


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=80))
def test_runs_are_the_true_stretches(values: list[bool]) -> None:
    """Painting the runs gives the mask back, and no two of them touch."""
    mask = np.array(values, bool)
    found, painted = list(runs(mask)), np.zeros_like(mask)
    for begin, end in found:
        painted[begin:end] = True
    assert (painted == mask).all()
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pieces_cover_the_speech_exactly(seed: int) -> None:
    """Every frame of speech is in one piece, no other frame in any, none is longer than 1.5 s."""
    chance = np.random.default_rng(seed)
    speech = np.repeat(chance.random(30) < 0.6, chance.integers(1, 200, 30)).astype(np.float32)
    activity = Activity(speech, np.zeros_like(speech), chance.random(len(speech)).astype(np.float32))
    found = pieces(activity)
    covered = np.zeros(len(speech), int)
    for begin, end in found:
        covered[begin:end] += 1
    assert (covered == (speech > 0.5)).all()
    assert ((found[:, 1] - found[:, 0]) * FRAME_S <= 1.5 + FRAME_S).all()
