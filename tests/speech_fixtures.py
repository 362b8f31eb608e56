"""Speech for tests, made by the installed voices and kept under .cache/test-audio, so that the tests stand alone."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from cli.demo import Line, make_conversation
from shared.adapters.voices import InstalledVoices
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.settings import Settings

CACHE = Path(__file__).parents[1] / ".cache" / "test-audio"
MARGIN_S = 0.4  # silence before and after, as a recording has


def spoken(text: str, language: str = "en") -> Path:
    """One voice says `text`: 16 kHz mono FLAC."""
    name = hashlib.sha256(f"{language}:{text}".encode()).hexdigest()[:16]
    target = CACHE / f"{language}-{name}.flac"
    if not target.exists():
        speech = InstalledVoices(Settings()).speak(text, language)
        samples = resample_poly(speech.samples, SAMPLE_RATE_HZ, speech.sample_rate_hz) * 0.7
        margin = np.zeros(int(MARGIN_S * SAMPLE_RATE_HZ))
        _write(target, np.concatenate([margin, samples, margin]))
    return target


def dialogue(language: str = "en") -> tuple[Path, list[Line]]:
    """The demo's coaching conversation and what is said in it, when and by whom."""
    target = CACHE / f"conversation-{language}.flac"
    if not target.exists():
        _keep_conversation(language)
    return target, [Line(**line) for line in json.loads(target.with_suffix(".json").read_text())]


def dialogue_16k(language: str = "en") -> tuple[Path, list[Line]]:
    """The same as the speech models want it."""
    source, lines = dialogue(language)
    target = CACHE / f"conversation-{language}-16k.flac"
    if not target.exists():
        samples, rate_hz = soundfile.read(source, dtype="float32")
        _write(target, resample_poly(samples, SAMPLE_RATE_HZ, rate_hz))
    return target, lines


def _keep_conversation(language: str) -> None:
    """The reference first: whoever finds the recording finds both."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        made = make_conversation(Path(folder), language)
        for part in (made.with_suffix(".json"), made):
            part.replace(CACHE / part.name)


def _write(target: Path, samples: np.ndarray) -> None:
    """Whole or not at all: two test processes may share the cache."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.flac")
    soundfile.write(partial, samples, SAMPLE_RATE_HZ)
    partial.replace(target)
