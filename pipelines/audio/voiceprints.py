"""The voice of each speaker as a vector that can be compared with other recordings.

The vectors by which a recording's speakers are told apart will not do for that: they keep what the recording's lines
and rooms add, on purpose. Here each speaker's own speech alone is heard, the same way as an enrolled sample.

A telephone shifts all voices in one direction: strangers on the telephone are nearer to each other (cosine up to 0.7)
than one person is to themself off it (0.3 to 0.6). So vectors of the two bands are never compared: the band is part of
the model's name, and a wide-band sample is enrolled twice, the second time through a telephone's band.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, sosfiltfilt

from shared.domain.audio import SAMPLE_RATE_HZ, Span
from shared.domain.ids import SpeakerId
from shared.domain.speakers import TELEPHONE
from shared.domain.transcript import SpeakerTurn
from shared.ports.speech import Samples, SpeakerEmbedder

LEAST_S = 2.0  # of one's own speech; less is known of too few sounds
MOST_S = 30.0  # more changes the vector by less than another day does
LEAST_STRETCH_S = 0.5  # shorter turns are mostly "mm" and laughter
TELEPHONE_HZ = (300.0, 3400.0)
BELOW_HZ, ABOVE_HZ = (2500.0, 3400.0), (4300.0, 5600.0)
CLIFF_DB = 20.0  # speech falls by 3 to 10 dB from the one band to the other, a telephone by 40 and more
_FFT = 1024
_MOST_FRAMES = 2000  # of the loudest: two minutes of speech tell the band


def is_telephone(samples: Samples) -> bool:
    """Whether the sound ends where a telephone's does."""
    whole = samples[: len(samples) // _FFT * _FFT].reshape(-1, _FFT)
    if not len(whole):
        return False
    loudest = whole[np.argsort(-(whole**2).mean(axis=1))[:_MOST_FRAMES]]
    power = (np.abs(np.fft.rfft(loudest * np.hanning(_FFT), axis=1)) ** 2).mean(axis=0)
    hz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE_HZ)

    def level_db(band: tuple[float, float]) -> float:
        return float(10 * np.log10(power[(hz >= band[0]) & (hz < band[1])].mean() + 1e-12))

    return level_db(BELOW_HZ) - level_db(ABOVE_HZ) > CLIFF_DB


def through_telephone(samples: Samples) -> Samples:
    """The sound as a telephone's band would leave it."""
    band = butter(6, TELEPHONE_HZ, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfiltfilt(band, samples), np.float32)


def prints_of_speakers(
    audio: Path, exclusive: Sequence[SpeakerTurn], embedder: SpeakerEmbedder
) -> tuple[dict[SpeakerId, tuple[float, ...]], str]:
    """Each speaker's vector, of those who said enough, and the name of the model with its band."""
    found: dict[SpeakerId, Samples] = {}
    with soundfile.SoundFile(audio) as file:
        for speaker in dict.fromkeys(turn.speaker for turn in exclusive):
            own = speech_of(file, [Span(t.start_s, t.end_s) for t in exclusive if t.speaker == speaker])
            if len(own) >= LEAST_S * SAMPLE_RATE_HZ:
                found[speaker] = own
    together = np.concatenate(list(found.values())) if found else np.zeros(0, np.float32)
    model = embedder.model + TELEPHONE if is_telephone(together) else embedder.model
    return {speaker: embedder.embed(own) for speaker, own in found.items()}, model


def speech_of(file: soundfile.SoundFile, stretches: Sequence[Span]) -> Samples:
    """The longest stretches first, MOST_S together at most, in the order of time."""
    chosen: list[Span] = []
    left_s = MOST_S
    for span in sorted(stretches, key=lambda span: -span.duration_s):
        if left_s <= 0 or span.duration_s < LEAST_STRETCH_S:
            break
        chosen.append(Span(span.start_s, min(span.end_s, span.start_s + left_s)))
        left_s -= span.duration_s
    pieces = [_read(file, span) for span in sorted(chosen, key=lambda span: span.start_s)]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def _read(file: soundfile.SoundFile, span: Span) -> Samples:
    first, last = (round(at_s * SAMPLE_RATE_HZ) for at_s in (span.start_s, span.end_s))
    file.seek(min(first, file.frames))
    return np.asarray(file.read(max(0, last - first), dtype="float32"), np.float32)
