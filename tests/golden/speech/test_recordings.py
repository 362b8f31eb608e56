"""Real recordings: the words that people said, and no others."""

from pathlib import Path

import pytest
import soundfile

from bench.accuracy import decoded
from bench.corpora import JFK, comparable, recordings
from pipelines.audio.vad_gate import speech_spans
from shared.adapters.faster_whisper import FasterWhisper
from shared.adapters.silero import SileroVad
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.ports.speech import Recognised
from shared.ports.tick import no_tick
from shared.settings import Settings

pytestmark = pytest.mark.golden


def heard_in(source: Path, folder: Path) -> Recognised:
    samples = decoded(source)
    path = folder / "prepared.flac"
    soundfile.write(path, samples, SAMPLE_RATE_HZ)
    voice_activity = SileroVad(Settings())
    speech = speech_spans(voice_activity.probabilities(iter([samples])), len(samples) / SAMPLE_RATE_HZ)
    return FasterWhisper(Settings()).transcribe(path, speech=speech, language=None, tick=no_tick)


def test_a_speech_of_1961(shared_audio: Path, tmp_path: Path) -> None:
    """Noisy and with long pauses, and yet word for word; `ask` lies behind the pause, not in it."""
    heard = heard_in(shared_audio / "jfk" / "jfk.flac", tmp_path)
    assert comparable("".join(word.text for word in heard.words), "en") == comparable(JFK, "en")
    asked = [word for word in heard.words if word.text.strip().lower() == "ask"]
    assert len(asked) == 2
    assert all(word.end_s - word.start_s < 1.0 for word in asked)


def test_a_dialogue_is_written_down_to_its_end(shared_audio: Path, tmp_path: Path) -> None:
    """Two minutes of two people who talk over each other: as many words as were said, within a tenth."""
    recording = next(found for found in recordings(shared_audio) if found.corpus == "d02_ff_overlap")
    heard = heard_in(recording.path, tmp_path)
    written = comparable("".join(word.text for word in heard.words), "en").split()
    assert len(written) == pytest.approx(len(comparable(recording.text, "en").split()), rel=0.1)
