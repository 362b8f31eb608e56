"""Real recordings, end to end: the right number of people, and the right share of the talk."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from shared.adapters.diarization.diarizer import OnnxDiarizer
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.transcript import Diarization
from shared.ports.tick import no_tick
from shared.settings import Settings

pytestmark = pytest.mark.integration

_WOMEN = "dialogues/d02_ff_overlap/d02_ff_overlap"
_TALKS = {  # recording: (audio, reference, points that the talk ratio may be off)
    "call": ("aws_call/call40.mono16k.flac", "aws_call/call40.vad.rttm", 2.0),
    "katie+steve": ("azure_katiesteve/katiesteve.wav", "azure_katiesteve/katiesteve.aligned.rttm", 3.0),
    "commercial": ("google_commercial/commercial_mono.wav", "google_commercial/commercial_mono.aligned.rttm", 8.0),
    "telephone": ("pyannote_sample/sample.wav", "pyannote_sample/sample.rttm", 6.0),
    "woman+man": ("dialogues/d02_fm/d02_fm.flac", "dialogues/d02_fm/d02_fm.vad.rttm", 2.0),
    # this reference counts the noise in one man's pauses as his speech
    "two men": ("dialogues/d02_mm/d02_mm.flac", "dialogues/d02_mm/d02_mm.vad.rttm", 11.0),
    "two women": (
        "dialogues/d02_ff_overlap/d02_ff_overlap.flac",
        "dialogues/d02_ff_overlap/d02_ff_overlap.vad.rttm",
        2.0,
    ),
}


@pytest.fixture(scope="module")
def diarizer() -> OnnxDiarizer:
    return OnnxDiarizer(Settings())


def _as_prepared(sources: list[Path], folder: Path) -> Path:
    """The recordings one after the other as 16 kHz mono FLAC."""
    parts = []
    for source in sources:
        samples, rate_hz = soundfile.read(source, dtype="float32")
        parts.append(resample_poly(samples, SAMPLE_RATE_HZ, rate_hz) if rate_hz != SAMPLE_RATE_HZ else samples)
    target = folder / "audio.flac"
    soundfile.write(target, np.concatenate(parts), SAMPLE_RATE_HZ)
    return target


def _shares(seconds: dict[str, float]) -> list[float]:
    return [100 * own / sum(seconds.values()) for own in seconds.values()]


def _spoken_shares(spoken: Diarization) -> list[float]:
    seconds: dict[str, float] = defaultdict(float)
    for turn in spoken.turns:
        seconds[turn.speaker] += turn.duration_s
    return _shares(seconds)


def _reference_shares(path: Path) -> list[float]:
    seconds: dict[str, float] = defaultdict(float)
    for fields in (line.split() for line in path.read_text().splitlines()):
        seconds[fields[7]] += float(fields[4])
    return _shares(seconds)


@pytest.mark.parametrize("name", _TALKS)
def test_two_people_talking(name: str, diarizer: OnnxDiarizer, shared_audio: Path, tmp_path: Path) -> None:
    """Two speakers, and each one's share of the talk, in every kind of mono recording."""
    audio, reference, points = _TALKS[name]
    spoken = diarizer.diarize(_as_prepared([shared_audio / audio], tmp_path), speakers=2, tick=no_tick)
    assert spoken.speakers == ("S1", "S2")
    assert set(spoken.embeddings) == {"S1", "S2"}
    expected = _reference_shares(shared_audio / reference)
    assert abs(max(_spoken_shares(spoken)) - max(expected)) < points


@pytest.mark.parametrize("name", ["katie+steve", "telephone", "woman+man"])
def test_two_are_counted_unasked(name: str, diarizer: OnnxDiarizer, shared_audio: Path, tmp_path: Path) -> None:
    """Without a number two people are two."""
    audio = _as_prepared([shared_audio / _TALKS[name][0]], tmp_path)
    assert len(diarizer.diarize(audio, speakers=None, tick=no_tick).speakers) == 2


@pytest.mark.parametrize("speakers", [None, 3])
def test_three_people(speakers: int | None, diarizer: OnnxDiarizer, shared_audio: Path, tmp_path: Path) -> None:
    """Three people are three, asked or not, each with the turn that the reference gives them."""
    audio = _as_prepared([shared_audio / "picovoice_3spk" / "test.wav"], tmp_path)
    spoken = diarizer.diarize(audio, speakers=speakers, tick=no_tick)
    assert [turn.speaker for turn in spoken.turns] == ["S1", "S2", "S3"]
    assert [round(turn.start_s) for turn in spoken.turns] == [2, 6, 13]


@pytest.mark.parametrize("reader", ["367", "1688", "2033"])
@pytest.mark.parametrize("speakers", [None, 2])
def test_one_reader_is_one_person(
    reader: str, speakers: int | None, diarizer: OnnxDiarizer, shared_audio: Path, tmp_path: Path
) -> None:
    """One voice over several utterances is not halved, even when two people were expected."""
    clips = sorted((shared_audio / "librispeech_other" / reader).glob("*.flac"))[:4]
    spoken = diarizer.diarize(_as_prepared(clips, tmp_path), speakers=speakers, tick=no_tick)
    assert spoken.speakers == ("S1",)


def test_who_says_little_is_found(diarizer: OnnxDiarizer, shared_audio: Path, tmp_path: Path) -> None:
    """A person with two short remarks in a long monologue is the second speaker, and has no more than that."""
    long = sorted((shared_audio / "librispeech_other" / "3080").glob("*.flac"))
    short = sorted((shared_audio / "librispeech_other" / "2609").glob("*.flac"), key=lambda path: path.stat().st_size)
    audio = _as_prepared([*long[:4], short[0], *long[4:8], short[1]], tmp_path)
    spoken = diarizer.diarize(audio, speakers=2, tick=no_tick)
    remarks_s = sum(soundfile.info(path).duration for path in short[:2])
    assert spoken.speakers == ("S1", "S2")
    said_s = sum(turn.duration_s for turn in spoken.turns if turn.speaker == "S2")
    assert 0.5 * remarks_s < said_s < 1.1 * remarks_s
