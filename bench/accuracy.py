"""Word and character errors and the cost of our transcriber beside the bare engine: same weights, recordings and run.

The bare engine is faster-whisper as its manual shows it: its own voice activity filter, beam 5, word times. Voice
activity counts in our time, too. Ends with 1 when we make more errors than it in any language.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import soundfile
import typer
from rich.console import Console
from rich.table import Table

from bench.corpora import Recording, comparable, recordings
from pipelines.audio.vad_gate import speech_spans
from shared.adapters.faster_whisper import FasterWhisper
from shared.adapters.silero import SileroVad
from shared.adapters.weights.whisper_base import whisper_base
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.ports.speech import Samples
from shared.ports.tick import no_tick
from shared.settings import Settings

FOLDER = Path(os.environ.get("VIBEINSIGHT_AUDIO", "../shared/audio"))
NOTHING = "∅"  # stands for an empty answer, which counts as all words missed
Engine = Callable[[Samples, str], str]


class Bare:
    name = "bare"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _model(self) -> Any:
        from faster_whisper import WhisperModel

        folder = str(whisper_base(self._settings))
        return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=self._settings.engine_threads)

    def __call__(self, samples: Samples, language: str) -> str:
        segments, _ = self._model.transcribe(
            samples,
            language=language,
            beam_size=5,
            vad_filter=True,
            word_timestamps=True,
            condition_on_previous_text=False,
        )
        return "".join(segment.text for segment in segments)


class Ours:
    name = "ours"

    def __init__(self, settings: Settings) -> None:
        self._transcriber = FasterWhisper(settings)
        self._voice_activity = SileroVad(settings)

    def __call__(self, samples: Samples, language: str) -> str:
        speech = speech_spans(self._voice_activity.probabilities(iter([samples])), len(samples) / SAMPLE_RATE_HZ)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "recording.flac")
            soundfile.write(path, samples, SAMPLE_RATE_HZ)
            heard = self._transcriber.transcribe(path, speech=speech, language=language, tick=no_tick)
        return "".join(word.text for word in heard.words)


@dataclass(frozen=True)
class Score:
    """One engine over one corpus, or over all recordings of a language."""

    corpus: str
    language: str
    engine: str
    length: int  # words, or characters in Japanese and Chinese
    errors: int
    audio_s: float
    wall_s: float
    cpu_s: float

    @property
    def error_rate(self) -> float:
        return self.errors / self.length


def score(recording: Recording, samples: Samples, engine: Any) -> Score:
    wall, cpu = time.perf_counter(), time.process_time()
    said = engine(samples, recording.language)
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    reference, hypothesis = (comparable(text, recording.language) for text in (recording.text, said))
    by_character = recording.language in ("ja", "zh")
    compare = jiwer.process_characters if by_character else jiwer.process_words
    found = compare(reference, hypothesis or NOTHING)
    return Score(
        corpus=recording.corpus,
        language=recording.language,
        engine=engine.name,
        length=found.hits + found.substitutions + found.deletions,
        errors=found.substitutions + found.deletions + found.insertions,
        audio_s=len(samples) / SAMPLE_RATE_HZ,
        wall_s=wall_s,
        cpu_s=cpu_s,
    )


def summed(scores: Iterable[Score], by: Callable[[Score], tuple[str, str]]) -> list[Score]:
    """One score for each (corpus, language) that `by` names, and engine."""

    def key(one: Score) -> tuple[str, str, str]:
        return (*by(one), one.engine)

    totals = []
    for (corpus, language, engine), group in groupby(sorted(scores, key=key), key=key):
        counted = [(one.length, one.errors, one.audio_s, one.wall_s, one.cpu_s) for one in group]
        length, errors, *seconds = (sum(column) for column in zip(*counted, strict=True))
        totals.append(Score(corpus, language, engine, int(length), int(errors), *seconds))
    return totals


def table(scores: list[Score]) -> Table:
    shown = Table(title="Errors and cost, bare engine and ours")
    for name in ("corpus", "language", "audio s", "bare %", "ours %", "bare cpu s", "ours cpu s", "cost"):
        shown.add_column(name, justify="left" if name in ("corpus", "language") else "right")
    for bare, ours in zip(scores[::2], scores[1::2], strict=True):
        errors = [f"{100 * one.error_rate:.2f}" for one in (bare, ours)]
        cost = [f"{bare.cpu_s:.1f}", f"{ours.cpu_s:.1f}", f"{ours.cpu_s / bare.cpu_s:.2f} x"]
        shown.add_row(bare.corpus, bare.language, f"{bare.audio_s:.0f}", *errors, *cost)
    return shown


def decoded(path: Path) -> Samples:
    from faster_whisper import decode_audio

    return np.asarray(decode_audio(str(path), sampling_rate=SAMPLE_RATE_HZ), np.float32)


def main(folder: Path = FOLDER, only: str = "", as_json: bool = typer.Option(False, "--json")) -> None:
    """Score every recording in FOLDER that has a reference; `--only` takes a part of a corpus's name."""
    settings = Settings()
    engines = (Bare(settings), Ours(settings))
    chosen = [recording for recording in recordings(folder) if only in recording.corpus]
    if not chosen:
        sys.exit(f"No recording with a reference text in {folder.name}")
    scores = []
    for recording in chosen:
        samples = decoded(recording.path)
        scores += [score(recording, samples, engine) for engine in engines]
    corpora = summed(scores, lambda one: (one.corpus, one.language))
    languages = summed(scores, lambda one: ("all", one.language))
    if as_json:
        print(json.dumps([{**asdict(one), "error_rate": one.error_rate} for one in corpora + languages], indent=1))
    else:
        Console().print(table(corpora + languages))
    worse = any(ours.errors > bare.errors for bare, ours in zip(languages[::2], languages[1::2], strict=True))
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    typer.run(main)
