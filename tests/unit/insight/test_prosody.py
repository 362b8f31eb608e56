"""The voice's figures against signals whose truth is known: tones, pulse trains, noise."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from pipelines.insight.conversation import Conversation
from pipelines.insight.intervals import Speech
from pipelines.insight.prosody.hearing import hear
from pipelines.insight.prosody.summary import prosody_of
from shared.adapters.recordings import opened_recording
from shared.domain.ids import SpeakerId
from shared.domain.insight import SpeakerProsody
from shared.ports.tick import no_tick

pytestmark = pytest.mark.unit

S1, S2 = SpeakerId("S1"), SpeakerId("S2")
RATE = 16_000
Sound = NDArray[np.float32]
# Of two independent normal deviations the mean absolute difference is 2 / sqrt(pi) of their standard deviation.
DIFFERENCE = 2 / np.sqrt(np.pi)


def _tone(hertz: float, seconds: float, amplitude: float = 0.3) -> Sound:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(RATE * seconds)) / RATE)).astype(np.float32)


def _pulses(hertz: float, *, jitter: float = 0, shimmer: float = 0, snr_db: float | None = None) -> Sound:
    """Ten seconds of a resonance struck once a period; periods and strengths vary by these shares."""
    random = np.random.default_rng(7)
    sound, at = np.zeros(RATE * 10 + 500), 50.0
    while at < len(sound) - 300:
        places = np.arange(round(at), round(at) + 220)
        since = (places - at) / RATE
        ring = np.where(since >= 0, np.exp(-400 * since) * np.sin(2 * np.pi * 700 * since), 0)
        sound[places] += (1 + shimmer * random.standard_normal()) * ring
        at += RATE / hertz * (1 + jitter * random.standard_normal())
    if snr_db is not None:
        noise_power = np.mean(np.square(sound)) / 10 ** (snr_db / 10)
        sound = sound + random.standard_normal(len(sound)) * np.sqrt(noise_power)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def _alone(sound: Sound) -> SpeakerProsody:
    conversation = Conversation((Speech(0, len(sound) * 1000 // RATE, S1),), (), "en")
    return prosody_of(conversation, hear(sound, conversation, no_tick))[S1]


@pytest.mark.parametrize("hertz", [80, 120, 220, 400])
def test_pitch_of_a_tone(hertz: int) -> None:
    """Within a hundredth, with no range, all of it voiced, and a level of 0.3 / sqrt(2)."""
    found = _alone(_tone(hertz, 5))
    assert found.pitch_median_hz == pytest.approx(hertz, rel=0.01)
    assert found.pitch_range_semitones == pytest.approx(0, abs=0.1)
    assert found.voiced_share == 1.0
    assert found.level_median_db == pytest.approx(-13.5, abs=0.2)


def test_range_of_a_glide() -> None:
    """From 100 to 200 Hz evenly in semitones: 80 % of twelve semitones lie between the percentiles."""
    seconds = np.arange(RATE * 10) / RATE
    phase = 2 * np.pi * 100 * 10 / np.log(2) * (2 ** (seconds / 10) - 1)
    found = _alone((0.3 * np.sin(phase)).astype(np.float32))
    assert found.pitch_range_semitones == pytest.approx(9.6, abs=0.3)
    assert found.pitch_median_hz == pytest.approx(141.4, rel=0.02)


@pytest.mark.parametrize(("hertz", "jitter"), [(120, 0.01), (200, 0.01), (120, 0.02)])
def test_jitter_of_a_pulse_train(hertz: int, jitter: float) -> None:
    """Within a quarter of what was put in."""
    assert _alone(_pulses(hertz, jitter=jitter)).jitter == pytest.approx(jitter * DIFFERENCE, rel=0.25)


@pytest.mark.parametrize("shimmer", [0.05, 0.1])
def test_shimmer_of_a_pulse_train(shimmer: float) -> None:
    """Within a quarter of what was put in."""
    assert _alone(_pulses(150, shimmer=shimmer)).shimmer == pytest.approx(shimmer * DIFFERENCE, rel=0.25)


def test_an_even_voice_has_neither() -> None:
    """Below a tenth of a percent and half a percent: what the sampling leaves."""
    found = _alone(_pulses(120))
    assert found.jitter is not None
    assert found.shimmer is not None
    assert found.jitter < 0.001
    assert found.shimmer < 0.005


@pytest.mark.parametrize("snr_db", [5, 10, 20])
def test_harmonics_to_noise_is_the_known_ratio(snr_db: int) -> None:
    """Within one decibel."""
    assert _alone(_pulses(120, snr_db=snr_db)).harmonics_to_noise_db == pytest.approx(snr_db, abs=1)


def _two() -> tuple[Sound, Conversation]:
    """S1 low for 10 s, both at once for 4 s, S2 high for 10 s, and 1 s of pause in each one's own turn."""
    low, high, pause = _tone(110, 24), _tone(250, 24), np.zeros(RATE, np.float32)
    sound = np.concatenate([low[: 4 * RATE], pause, low[: 5 * RATE], low[: 4 * RATE] + high[: 4 * RATE]])
    sound = np.concatenate([sound, high[: 4 * RATE], pause, high[: 5 * RATE]])
    spans = [(0, 4, S1), (5, 14, S1), (10, 18, S2), (19, 24, S2)]
    return sound, Conversation(tuple(Speech(a * 1000, b * 1000, who) for a, b, who in spans), (), "en")


def test_only_what_one_says_alone_is_measured() -> None:
    """What both say at once belongs to nobody; each pause in one's own turn is counted."""
    sound, conversation = _two()
    found = prosody_of(conversation, hear(sound, conversation, no_tick))
    assert found[S1].pitch_high_hz == pytest.approx(110, rel=0.01)
    assert found[S2].pitch_low_hz == pytest.approx(250, rel=0.01)
    assert found[S1].measured_s == pytest.approx(9, abs=0.3)
    assert (found[S1].pauses, found[S1].pause_median_s) == (1, 1.0)
    assert found[S1].pauses_per_minute == pytest.approx(60 / 13, abs=0.1)


def test_slices_do_not_show(tmp_path: Path) -> None:
    """A file read slice by slice gives what the whole array gives, frame by frame, none left out between slices."""
    sound = np.concatenate([_two()[0]] * 3)
    conversation = Conversation((Speech(0, len(sound) * 1000 // RATE, S1),), (), "en")
    soundfile.write(tmp_path / "talk.flac", sound, RATE, subtype="PCM_24")
    with opened_recording(tmp_path / "talk.flac") as recording:
        from_file = hear(recording, conversation, no_tick)[S1]
    whole = hear(sound, conversation, no_tick)[S1]
    assert np.allclose(from_file.frames.pitch_hz, whole.frames.pitch_hz, atol=0.1)
    assert len(whole.at_ms) == (len(sound) - 640) // 320 + 1


def test_too_little_voice_is_not_measured() -> None:
    """Two seconds of voice, or any length of noise, give no figures rather than poor ones."""
    noise = (0.1 * np.random.default_rng(1).standard_normal(RATE * 20)).astype(np.float32)
    for sound in (_tone(120, 2), noise):
        conversation = Conversation((Speech(0, len(sound) * 1000 // RATE, S1),), (), "en")
        assert prosody_of(conversation, hear(sound, conversation, no_tick)) == {}
