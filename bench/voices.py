"""How well a voice is found again: equal error rate and limits of the cosine, by band and by how much was said.

Each reader of the folder `librispeech_other` is enrolled with some utterances and heard in others, as a stranger to all
the other readers. Telephone is the same sound through a telephone's band. Ends with 1 when the limits in use make more
errors than they may.
"""

import os
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import soundfile
import typer
from rich.console import Console
from rich.table import Table

from pipelines.audio.voiceprints import through_telephone
from pipelines.insight.voices import SAME_VOICE, SAME_VOICE_TELEPHONE
from shared.adapters.diarization.embedding import CampplusEmbedder
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.ports.speech import Samples
from shared.settings import Settings

FOLDER = Path(os.environ.get("VIBEINSIGHT_AUDIO", "../shared/audio"))
ENROLLED_S = 20.0
HEARD_S = (2.0, 5.0, 15.0)
MOST_ERRORS = 0.02  # of either kind, from 5 s on
Band = Callable[[Samples], Samples]


def readers(folder: Path) -> dict[str, tuple[Samples, Samples]]:
    """What each is enrolled with, and what is heard of them: other utterances."""
    found = {}
    for reader in sorted(path for path in (folder / "librispeech_other").iterdir() if path.is_dir()):
        clips = [soundfile.read(path, dtype="float32")[0] for path in sorted(reader.glob("*.flac"))]
        half = len(clips) // 2
        found[reader.name] = (np.concatenate(clips[:half]), np.concatenate(clips[half:]))
    return found


def cosines(
    people: dict[str, tuple[Samples, Samples]], band: Band, heard_s: float, embedder: CampplusEmbedder
) -> tuple:
    """(of one person, of two): every stretch of `heard_s` that is there, at most three a person."""
    size = int(heard_s * SAMPLE_RATE_HZ)
    known = {who: embedder.embed(band(own[: int(ENROLLED_S * SAMPLE_RATE_HZ)])) for who, (own, _) in people.items()}
    heard = [
        (who, embedder.embed(band(rest[at : at + size])))
        for who, (_, rest) in people.items()
        for at in range(0, max(1, len(rest) - size), max(size, len(rest) // 3))
    ]
    pairs = [(a == b, float(np.dot(one, other))) for (a, one), (b, other) in product(known.items(), heard)]
    return np.array([c for same, c in pairs if same]), np.array([c for same, c in pairs if not same])


def equal_error(same: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """(rate, limit) where as many strangers are taken for the person as times the person is missed."""
    limits = np.sort(np.concatenate([same, other]))
    misses = np.array([(same < limit).mean() for limit in limits])
    alarms = np.array([(other >= limit).mean() for limit in limits])
    best = int(np.abs(misses - alarms).argmin())
    return float((misses[best] + alarms[best]) / 2), float(limits[best])


def main(folder: Path = FOLDER) -> None:
    """Print the rates for FOLDER."""
    people, embedder = readers(folder), CampplusEmbedder(Settings())
    shown = Table(title=f"{len(people)} readers, enrolled with {ENROLLED_S:g} s; {embedder.model}")
    for name in (
        "band",
        "heard s",
        "pairs",
        "own 5 %",
        "others 95 %",
        "EER %",
        "at",
        "in use",
        "missed %",
        "mistaken %",
    ):
        shown.add_column(name, justify="right")
    worst = 0.0
    for (band, change, limit), heard_s in product(
        (("full", np.asarray, SAME_VOICE), ("telephone", through_telephone, SAME_VOICE_TELEPHONE)), HEARD_S
    ):
        same, other = cosines(people, change, heard_s, embedder)
        rate, at = equal_error(same, other)
        missed, mistaken = float((same < limit).mean()), float((other >= limit).mean())
        if heard_s >= 5:
            worst = max(worst, mistaken, missed)
        numbers = (
            np.quantile(same, 0.05),
            np.quantile(other, 0.95),
            100 * rate,
            at,
            limit,
            100 * missed,
            100 * mistaken,
        )
        shown.add_row(band, f"{heard_s:g}", f"{len(same)}+{len(other)}", *(f"{number:.2f}" for number in numbers))
    Console(width=140).print(shown)
    sys.exit(1 if worst > MOST_ERRORS else 0)


if __name__ == "__main__":
    typer.run(main)
