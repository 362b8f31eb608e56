"""The Diarizer and SpeakerEmbedder ports over the real networks: what any caller may rely on."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from shared.adapters.diarization.diarizer import OnnxDiarizer
from shared.adapters.diarization.embedding import CampplusEmbedder
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.errors import Cancelled, NotAudio, TooShort
from shared.domain.transcript import Diarization
from shared.ports.speech import Diarizer, SpeakerEmbedder
from shared.ports.tick import no_tick
from shared.settings import Settings
from tests.speech_fixtures import dialogue_16k

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return OnnxDiarizer(Settings())


@pytest.fixture(scope="module")
def embedder() -> SpeakerEmbedder:
    return CampplusEmbedder(Settings())


@pytest.fixture(scope="module")
def conversation() -> NDArray[np.float32]:
    """Two installed voices talking."""
    samples, _ = soundfile.read(dialogue_16k()[0], dtype="float32")
    return np.asarray(samples)


def _written(folder: Path, samples: NDArray[np.floating], rate_hz: int = SAMPLE_RATE_HZ) -> Path:
    path = folder / "audio.flac"
    soundfile.write(path, samples, rate_hz)
    return path


def _spoken(diarizer: Diarizer, path: Path, speakers: int | None = 2) -> Diarization:
    return diarizer.diarize(path, speakers=speakers, tick=no_tick)


@pytest.mark.parametrize("seconds", [0.01, 0.05, 0.2, 1.0, 12.0])
@pytest.mark.parametrize("loudness", [0.0, 0.01])
def test_no_speech_gives_no_turns(diarizer: Diarizer, tmp_path: Path, seconds: float, loudness: float) -> None:
    """Silence and even noise, of any length, hold nobody."""
    noise = loudness * np.random.default_rng(0).standard_normal(int(seconds * SAMPLE_RATE_HZ))
    spoken = _spoken(diarizer, _written(tmp_path, noise))
    assert (spoken.turns, spoken.exclusive, spoken.speakers, spoken.embeddings) == ((), (), (), {})


@pytest.mark.parametrize("seconds", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("speakers", [None, 1, 2, 5])
def test_a_moment_of_speech_is_one_person(
    diarizer: Diarizer, tmp_path: Path, conversation: NDArray[np.float32], seconds: float, speakers: int | None
) -> None:
    """Too little to tell people apart is at most one speaker, whatever was asked for, within the recording."""
    start = np.abs(conversation).argmax()
    path = _written(tmp_path, conversation[start : start + int(seconds * SAMPLE_RATE_HZ)])
    spoken = _spoken(diarizer, path, speakers)
    assert spoken.speakers in ((), ("S1",))
    assert all(0 <= turn.start_s < turn.end_s <= seconds for turn in spoken.turns)


def test_a_conversation_is_well_formed(diarizer: Diarizer, tmp_path: Path, conversation: NDArray[np.float32]) -> None:
    """Two speakers, S1 first; ascending turns; exclusive turns that never overlap; a unit vector for each speaker."""
    spoken = _spoken(diarizer, _written(tmp_path, conversation[: 40 * SAMPLE_RATE_HZ]))
    assert spoken.speakers == ("S1", "S2")
    assert spoken.turns[0].speaker == spoken.exclusive[0].speaker == "S1"
    assert [turn.start_s for turn in spoken.turns] == sorted(turn.start_s for turn in spoken.turns)
    assert all(a.end_s <= b.start_s for a, b in zip(spoken.exclusive, spoken.exclusive[1:], strict=False))
    vectors = np.array([spoken.embeddings[name] for name in spoken.speakers])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert vectors[0] @ vectors[1] < 0.64
    assert spoken.embedding_model == CampplusEmbedder(Settings()).model


def test_the_result_is_the_same_every_time(
    diarizer: Diarizer, tmp_path: Path, conversation: NDArray[np.float32]
) -> None:
    """A second run, in the same process, gives the same document: the stage cache relies on it."""
    path = _written(tmp_path, conversation[: 15 * SAMPLE_RATE_HZ])
    assert _spoken(diarizer, path) == _spoken(OnnxDiarizer(Settings()), path)


def test_progress_ascends_to_the_end(diarizer: Diarizer, tmp_path: Path, conversation: NDArray[np.float32]) -> None:
    """Ticks are seconds of audio that only grow and end with the recording's length."""
    seen: list[float] = []
    diarizer.diarize(_written(tmp_path, conversation[: 30 * SAMPLE_RATE_HZ]), speakers=2, tick=seen.append)
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(30.0)


def test_a_cancel_stops_at_the_next_tick(diarizer: Diarizer, tmp_path: Path, conversation: NDArray[np.float32]) -> None:
    """What the tick raises ends the work at once and is not swallowed."""
    calls: list[float] = []

    def cancel(done_s: float) -> None:
        calls.append(done_s)
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        diarizer.diarize(_written(tmp_path, conversation[: 60 * SAMPLE_RATE_HZ]), speakers=2, tick=cancel)
    assert len(calls) == 1


def test_other_audio_is_refused(diarizer: Diarizer, tmp_path: Path) -> None:
    """Another rate, two channels, or no audio at all: the message says what is wanted."""
    with pytest.raises(NotAudio, match="16 kHz mono"):
        _spoken(diarizer, _written(tmp_path, np.zeros(8000), rate_hz=8000))
    with pytest.raises(NotAudio, match="16 kHz mono"):
        _spoken(diarizer, _written(tmp_path, np.zeros((16000, 2))))
    text = tmp_path / "notes.flac"
    text.write_text("not audio")
    with pytest.raises(NotAudio, match="16 kHz mono"):
        _spoken(diarizer, text)


def test_one_voice_embeds_alike_and_another_differently(
    embedder: SpeakerEmbedder, conversation: NDArray[np.float32]
) -> None:
    """Two utterances of one voice are closer than two of different voices."""
    lines = dialogue_16k()[1]
    by_voice: dict[str, list[NDArray[np.float64]]] = {}
    for line in (line for line in lines if line.end_s - line.start_s > 2):
        begin, end = (int(time_s * SAMPLE_RATE_HZ) for time_s in (line.start_s, line.end_s))
        by_voice.setdefault(line.speaker, []).append(np.array(embedder.embed(conversation[begin:end])))
    (first, again, *_), (other, *_) = by_voice.values()
    assert first @ again > 0.64 > first @ other
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-4)


def test_too_short_a_voice_is_refused(embedder: SpeakerEmbedder) -> None:
    """Less than 0.3 s is not embedded."""
    with pytest.raises(TooShort, match=r"0\.3 s"):
        embedder.embed(np.zeros(4000, np.float32))
