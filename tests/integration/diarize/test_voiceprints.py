"""Voices of speakers, from real dialogues: comparable between recordings, in one band, from channels too."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.audio.voiceprints import is_telephone, prints_of_speakers, through_telephone
from pipelines.insight.voices import SAME_VOICE, SAME_VOICE_TELEPHONE
from shared.adapters.diarization.embedding import CampplusEmbedder
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.ids import SpeakerId
from shared.domain.transcript import SpeakerTurn
from shared.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def embedder() -> CampplusEmbedder:
    return CampplusEmbedder(Settings())


def _joined(folder: Path, *parts: tuple[str, slice]) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Readers one after the other, and when each speaks."""
    sound, spans = [], []
    for reader, clips in parts:
        pieces = [soundfile.read(path, dtype="float32")[0] for path in sorted((folder / reader).glob("*.flac"))[clips]]
        begin = sum(len(piece) for piece in sound) / SAMPLE_RATE_HZ
        sound += pieces
        spans.append((begin, sum(len(piece) for piece in sound) / SAMPLE_RATE_HZ))
    return np.concatenate(sound), spans


@pytest.mark.parametrize("telephone", [False, True])
def test_a_person_is_found_in_another_dialogue(
    telephone: bool, embedder: CampplusEmbedder, shared_audio: Path, tmp_path: Path
) -> None:
    """Two dialogues of the same two readers: each is above the limit with themself and below it with the other."""
    found = []
    for number, clips in enumerate((slice(0, 2), slice(4, 6))):
        sound, spans = _joined(shared_audio / "librispeech_other", ("367", clips), ("2033", clips))
        path = tmp_path / f"{number}.flac"
        soundfile.write(path, through_telephone(sound) if telephone else sound, SAMPLE_RATE_HZ)
        turns = [SpeakerTurn(a, b, SpeakerId(f"S{n}")) for n, (a, b) in enumerate(spans, start=1)]
        found.append(prints_of_speakers(path, turns, embedder))
    (one, model), (other, same_model) = found
    assert model == same_model == embedder.model + ("+telephone" if telephone else "")
    limit = SAME_VOICE_TELEPHONE if telephone else SAME_VOICE
    for speaker, stranger in ((SpeakerId("S1"), SpeakerId("S2")), (SpeakerId("S2"), SpeakerId("S1"))):
        assert np.dot(one[speaker], other[speaker]) > limit > np.dot(one[speaker], other[stranger])


def test_who_says_hardly_anything_has_no_voice(embedder: CampplusEmbedder, shared_audio: Path, tmp_path: Path) -> None:
    """A second of speech is nobody's mark."""
    sound, _ = _joined(shared_audio / "librispeech_other", ("367", slice(0, 1)))
    path = tmp_path / "short.flac"
    soundfile.write(path, sound[: 3 * SAMPLE_RATE_HZ], SAMPLE_RATE_HZ)
    turns = [SpeakerTurn(0.0, 1.0, SpeakerId("S1")), SpeakerTurn(1.2, 1.5, SpeakerId("S2"))]
    assert prints_of_speakers(path, turns, embedder)[0] == {}


@pytest.mark.parametrize(
    ("recording", "telephone"),
    [
        ("aws_call/call40.mono16k.flac", True),
        ("pyannote_sample/sample.wav", True),
        ("azure_katiesteve/enrollment_katie.wav", False),
        ("dialogues/d02_mm/d02_mm.flac", False),
        ("commonvoice_ja/common_voice_ja_38843402.wav", False),
    ],
)
def test_the_band_of_real_recordings(recording: str, telephone: bool, shared_audio: Path) -> None:
    """A telephone's cliff is told from a dull voice or a closed microphone."""
    samples, _ = soundfile.read(shared_audio / recording, dtype="float32")
    assert is_telephone(samples) is telephone
