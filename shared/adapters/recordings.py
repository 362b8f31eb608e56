"""Reads what `preprocess` prepared: 16 kHz mono."""

from pathlib import Path

import numpy as np
import soundfile

from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.errors import NotAudio
from shared.ports.speech import Samples


def read_recording(audio: Path) -> Samples:
    try:
        samples, rate_hz = soundfile.read(audio, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise NotAudio("A prepared recording cannot be read; process the source again") from error
    if rate_hz != SAMPLE_RATE_HZ or samples.ndim != 1:
        raise NotAudio(f"A prepared recording must be mono at {SAMPLE_RATE_HZ} Hz; process the source again")
    return np.asarray(samples, np.float32)
