"""Loudness, levels, waveform peaks, and when a recording surely holds speech."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.audio.flac import CHUNK
from pipelines.audio.levels import FLOOR_DB, LevelMeter
from pipelines.audio.listen import Meter, certain
from pipelines.audio.loudness import LoudnessMeter
from pipelines.audio.peaks import PeakMeter
from shared.domain.audio import SAMPLE_RATE_HZ

pytestmark = pytest.mark.unit


def _feed(samples: NDArray[np.float64], *meters: Meter) -> None:
    for start in range(0, len(samples), CHUNK):
        for meter in meters:
            meter.add(samples[start : start + CHUNK].astype(np.float32))


def _tone(seconds: float, amplitude: float, hz: float = 997.0) -> NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)


@pytest.mark.parametrize(("peak_dbfs", "lufs"), [(0.0, -3.01), (-20.0, -23.01), (-40.0, -43.01)])
def test_loudness_of_the_standards_tone(peak_dbfs: float, lufs: float) -> None:
    """A 997 Hz sine at full scale in one channel reads -3.01 LUFS."""
    meter = LoudnessMeter()
    _feed(_tone(20, 10 ** (peak_dbfs / 20)), meter)
    assert meter.lufs == pytest.approx(lufs, abs=0.1)


def test_loudness_leaves_pauses_out() -> None:
    """A talker who is silent half of the time is as loud as one who is not."""
    always, half = LoudnessMeter(), LoudnessMeter()
    _feed(_tone(40, 0.1), always)
    _feed(np.concatenate([_tone(20, 0.1), np.zeros(20 * SAMPLE_RATE_HZ)]), half)
    assert half.lufs == pytest.approx(always.lufs, abs=0.2)


def test_low_frequencies_count_less() -> None:
    """Mains hum is heard less than it measures."""
    hum, voice = LoudnessMeter(), LoudnessMeter()
    _feed(_tone(5, 0.1, hz=30), hum)
    _feed(_tone(5, 0.1, hz=1000), voice)
    assert hum.lufs is not None
    assert voice.lufs is not None
    assert hum.lufs < voice.lufs - 5


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(80_000), _tone(0.2, 0.5)])
def test_silence_and_too_little_have_no_loudness(samples: NDArray[np.float64]) -> None:
    """None, not minus infinity."""
    meter = LoudnessMeter()
    _feed(samples, meter)
    assert meter.lufs is None


def test_levels_follow_the_sound() -> None:
    """The mean power of each 32 ms in decibels, never below the floor."""
    meter = LevelMeter()
    _feed(np.concatenate([np.zeros(SAMPLE_RATE_HZ), _tone(1, 0.1)]), meter)
    assert meter.levels[5] == FLOOR_DB
    assert meter.levels[-10] == pytest.approx(-23, abs=0.1)
    assert len(meter.levels) == 63


def test_peaks_draw_the_sound() -> None:
    """Twenty pairs a second of least and greatest, in eighths of a byte's range, the last one of a part."""
    meter = PeakMeter()
    _feed(np.concatenate([np.full(800, 0.5), np.full(800, -1.0), np.full(100, 0.25)]), meter)
    document = meter.document()
    assert document["data"] == [64, 64, -127, -127, 32, 32]
    assert (document["length"], document["samples_per_pixel"], document["bits"]) == (3, 800, 8)


def test_a_long_recordings_peaks_are_joined() -> None:
    """Pieces meet without a seam: 2.5 pieces have as many peaks as one long one."""
    meter = PeakMeter()
    _feed(_tone(CHUNK * 2.5 / SAMPLE_RATE_HZ, 0.3), meter)
    assert meter.document()["length"] == CHUNK * 2.5 / 800


@pytest.mark.parametrize(
    ("sure", "maybe", "expected"),
    [(0, 0, False), (2, 2, False), (3, 3, True), (3, 20, True), (3, 40, False), (27, 1058, False), (1846, 4858, True)],
)
def test_only_sure_speech_counts(sure: int, maybe: int, expected: bool) -> None:
    """Three blocks, and a tenth of what may be speech, must be beyond doubt."""
    probabilities = np.concatenate([np.full(sure, 0.95), np.full(maybe - sure, 0.6), np.zeros(500)])
    assert certain(probabilities.astype(np.float32)) is expected
