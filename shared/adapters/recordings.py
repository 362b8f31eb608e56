"""Reads what `preprocess` prepared: 16 kHz mono."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.errors import NotAudio
from shared.ports.speech import Samples


class Recording:
    """A file that is read slice by slice, as an array would be: whole, an hour takes 230 MB as float32."""

    def __init__(self, file: soundfile.SoundFile) -> None:
        self._file = file

    def __len__(self) -> int:
        return int(self._file.frames)

    def __getitem__(self, at: slice) -> Samples:
        start, stop, _ = at.indices(len(self))
        self._file.seek(start)
        return np.asarray(self._file.read(max(0, stop - start), dtype="float32"), np.float32)


@contextmanager
def opened_recording(audio: Path) -> Iterator[Recording]:
    """Raises NotAudio, also for what is found only while it is read."""
    try:
        with soundfile.SoundFile(audio) as file:
            if file.samplerate != SAMPLE_RATE_HZ or file.channels != 1:
                raise NotAudio(f"A prepared recording must be mono at {SAMPLE_RATE_HZ} Hz; process the source again")
            yield Recording(file)
    except soundfile.LibsndfileError as error:
        raise NotAudio("A prepared recording cannot be read; process the source again") from error


def read_recording(audio: Path) -> Samples:
    """All of it, for pieces that are known to be short."""
    with opened_recording(audio) as recording:
        return recording[:]
