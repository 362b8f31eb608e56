"""Log-mel features of a whole recording: computed once in a stream, kept small, normalised when read.

Two corrections matter on the telephone. Empty bands hold codec residue that looks like a voice's character, so a floor
of even noise is laid below the speech; and where nothing is above 4 kHz those bands are set to their mean.
"""

from dataclasses import dataclass

import kaldi_native_fbank
import numpy as np
from numpy.typing import NDArray

from shared.adapters.diarization.engines import Matrix
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.ports.speech import Samples

MEL_BANDS = 80
FEATURE_FRAME_S = 0.01

_LOUD_NEPERS = 6.0  # frames within 26 dB of the loud ones are taken for speech
_LOUD_PERCENTILE = 95
_FLOOR_SHARE = 10**-2.6  # of the speech's power: 26 dB below it
_NARROW_NEPERS = 3.5  # from 0.3-3 kHz to above 4.2 kHz; wide-band recordings show at most 1, telephone 5 to 10
_SAMPLE_EVERY = 7  # frames; the recording's mean is judged on every 7th


def mel_centres_hz() -> NDArray[np.float64]:
    """Middle of each band, on Kaldi's mel scale from 20 Hz to 8 kHz."""
    low, high = (1127 * np.log1p(hz / 700) for hz in (20.0, SAMPLE_RATE_HZ / 2))
    mel = low + (np.arange(MEL_BANDS) + 1) * (high - low) / (MEL_BANDS + 1)
    centres: NDArray[np.float64] = 700 * np.expm1(mel / 1127)
    return centres


class LogMel:
    """Kaldi's log-mel filter bank over a stream of blocks."""

    def __init__(self) -> None:
        options = kaldi_native_fbank.FbankOptions()
        options.frame_opts.dither = 0
        options.frame_opts.samp_freq = SAMPLE_RATE_HZ
        options.mel_opts.num_bins = MEL_BANDS
        self._bank = kaldi_native_fbank.OnlineFbank(options)
        self._read = 0

    def add(self, samples: Samples) -> Matrix:
        """The frames (n, 80) that these samples complete."""
        self._bank.accept_waveform(SAMPLE_RATE_HZ, samples)
        ready = self._bank.num_frames_ready
        views = [self._bank.get_frame(index) for index in range(self._read, ready)]
        frames = np.array(views, np.float32).reshape(-1, MEL_BANDS)
        self._bank.pop(len(views))  # frees what the views show
        self._read = ready
        return frames


@dataclass(frozen=True, slots=True)
class Normaliser:
    """What is done to raw features before the voice network sees them."""

    floor: Matrix  # (80,) power added in each band
    mean: Matrix  # (80,)
    narrow: bool

    def __call__(self, raw: Matrix) -> Matrix:
        clean = np.log(np.exp(raw, dtype=np.float32) + self.floor) - self.mean
        if self.narrow:
            clean[:, mel_centres_hz() > 3800] = 0  # the telephone's band ends at 3.4 kHz
        return clean


class FeatureStore:
    """Raw features of the whole recording in half precision: 58 MB an hour."""

    def __init__(self) -> None:
        self._bank, self._blocks = LogMel(), [np.zeros((0, MEL_BANDS), np.float16)]
        self._joined: NDArray[np.float16] | None = None

    def add(self, samples: Samples) -> None:
        self._blocks.append(self._bank.add(samples).astype(np.float16))

    @property
    def raw(self) -> NDArray[np.float16]:
        if self._joined is None:
            self._joined = np.concatenate(self._blocks)
            self._blocks.clear()
        return self._joined


def fit_normaliser(raw: NDArray[np.float16]) -> Normaliser:
    """One mean for the whole recording, so that each side of a call keeps its own channel."""
    sample = raw[::_SAMPLE_EVERY].astype(np.float32)
    energy = sample.mean(axis=1)
    loud = sample[energy > np.percentile(energy, _LOUD_PERCENTILE) - _LOUD_NEPERS]
    power = np.exp(loud)
    white = white_noise_power()
    floor = (white * power.mean(axis=0).sum() / white.sum() * _FLOOR_SHARE).astype(np.float32)
    return Normaliser(floor, np.log(power + floor).mean(axis=0), _is_narrow(loud.mean(axis=0)))


def white_noise_power() -> Matrix:
    """Power in each band of even noise; only its shape matters."""
    noise = np.random.default_rng(0).standard_normal(10 * SAMPLE_RATE_HZ).astype(np.float32)
    power: Matrix = np.exp(LogMel().add(noise)).mean(axis=0)
    return power


def _is_narrow(level: Matrix) -> bool:
    centres_hz = mel_centres_hz()
    low, high = (centres_hz > 300) & (centres_hz < 3000), centres_hz > 4200
    return bool(np.log(np.exp(level[low]).mean()) - np.log(np.exp(level[high]).mean()) > _NARROW_NEPERS)
