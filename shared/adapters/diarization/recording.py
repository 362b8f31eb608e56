"""A recording read as a stream, so that an hour costs no more memory than a minute."""

from collections.abc import Iterator
from pathlib import Path

import soundfile

from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.errors import NotAudio
from shared.ports.speech import Samples


class Recording:
    """16 kHz mono audio on disk."""

    def __init__(self, path: Path) -> None:
        try:
            facts = soundfile.info(path)
        except soundfile.LibsndfileError as error:
            raise NotAudio(f"{path.name} cannot be read as audio; give 16 kHz mono FLAC") from error
        if (facts.samplerate, facts.channels) != (SAMPLE_RATE_HZ, 1):
            raise NotAudio(f"{path.name} has {facts.samplerate} Hz, {facts.channels} channels; give 16 kHz mono FLAC")
        self._path, self.samples = path, int(facts.frames)

    @property
    def duration_s(self) -> float:
        return self.samples / SAMPLE_RATE_HZ

    def windows(self, length: int, step: int) -> Iterator[Samples]:
        """Overlapping windows, one every `step` samples; the last is shorter, none lies wholly in the one before."""
        yield from soundfile.blocks(self._path, blocksize=length, overlap=length - step, dtype="float32")
