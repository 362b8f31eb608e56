"""16 kHz mono FLAC in pieces, so that memory does not grow with a recording's length."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import soundfile

from shared.domain.audio import SAMPLE_RATE_HZ
from shared.ports.speech import Samples

# 2.4 s: whole numbers of voice activity blocks (512), loudness steps (1,600) and waveform peaks (800).
CHUNK = 38_400


def chunks(path: Path, start: int = 0, samples: int | None = None) -> Iterator[Samples]:
    """Pieces of CHUNK samples, the last one shorter."""
    with soundfile.SoundFile(str(path)) as file:
        file.seek(start)
        for piece in file.blocks(CHUNK, frames=-1 if samples is None else samples, dtype="float32"):
            yield cast("Samples", piece)


def copy(source: Path, target: Path, start: int, samples: int) -> None:
    with soundfile.SoundFile(
        str(target), "w", samplerate=SAMPLE_RATE_HZ, channels=1, format="FLAC", subtype="PCM_16", compression_level=0.0
    ) as out:
        for piece in chunks(source, start, samples):
            out.write(piece)
