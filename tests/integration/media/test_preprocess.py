"""The preprocess stage with the real decoder and the real voice activity model."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

from pipelines.stages.preprocess import preprocess
from shared.adapters.ffmpeg import Ffmpeg
from shared.adapters.silero import SileroVad
from shared.domain.audio import IntakeLimits, LanguageGuess, PreparedAudio, Span
from shared.domain.errors import Cancelled, TooLong, TooShort
from shared.domain.job import JobOptions
from shared.domain.transcript import Provenance
from shared.ports.speech import Recognised
from shared.ports.tick import Tick, no_tick
from shared.settings import Settings
from tests.media_files import RATE, encoded, noise, save

pytestmark = pytest.mark.integration

LIMITS = IntakeLimits(max_bytes=10**9, max_duration_s=600, min_duration_s=0.5)
MEDIA = Ffmpeg(Settings())
EARS = SileroVad(Settings())


class Linguist:
    """Knows one language, and remembers what it was asked."""

    provenance = Provenance("test", "linguist", "1")

    def __init__(self) -> None:
        self.asked: list[tuple[Path, Sequence[Span]]] = []

    def detect_language(self, audio: Path, speech: Sequence[Span]) -> LanguageGuess | None:
        self.asked.append((audio, speech))
        return LanguageGuess("en", 0.9)

    def transcribe(self, audio: Path, *, speech: Sequence[Span], language: str | None, tick: Tick) -> Recognised:
        raise AssertionError("preprocess asks for the language alone")


def _prepare(
    source: Path,
    folder: Path,
    *,
    options: JobOptions | None = None,
    target: int = 2,
    tick: Tick = no_tick,
    linguist: Linguist | None = None,
) -> tuple[PreparedAudio, dict[str, Path]]:
    return preprocess(
        source,
        options=options or JobOptions(),
        media=MEDIA,
        voice_activity=EARS,
        transcriber=linguist or Linguist(),
        target_shards=target,
        limits=LIMITS,
        workdir=folder,
        tick=tick,
    )


def _rttm(path: Path) -> dict[str, list[tuple[float, float]]]:
    turns: dict[str, list[tuple[float, float]]] = {}
    for line in path.read_text().splitlines():
        fields = line.split()
        turns.setdefault(fields[7], []).append((float(fields[3]), float(fields[3]) + float(fields[4])))
    return turns


def _mask(turns: Sequence[tuple[float, float]], duration_s: float) -> NDArray[np.bool_]:
    mask = np.zeros(int(duration_s * 100) + 1, bool)
    for start_s, end_s in turns:
        mask[int(start_s * 100) : int(end_s * 100)] = True
    return mask


CALLS = [
    ("aws_call/call40.stereo.flac", "aws_call/call40.vad.rttm"),
    *(
        (f"dialogues/{name}/{name}.stereo.flac", f"dialogues/{name}/{name}.vad.rttm")
        for name in ("d02_fm", "d02_mm", "d02_ff_overlap")
    ),
]


@pytest.mark.parametrize(("audio", "reference"), CALLS)
def test_two_lines_become_two_tracks(shared_audio: Path, audio: str, reference: str, tmp_path: Path) -> None:
    """Each holds the speech of its own person: nine tenths of all 10 ms are right on each."""
    prepared, files = _prepare(shared_audio / audio, tmp_path)
    turns = _rttm(shared_audio / reference)
    assert [track.channel for track in prepared.channels] == [0, 1]
    for track, name in zip(prepared.channels, sorted(turns), strict=True):
        heard = _mask([(span.start_s, span.end_s) for span in track.speech], prepared.duration_s)
        assert (heard == _mask(turns[name], prepared.duration_s)).mean() > 0.9
        assert soundfile.info(str(files[track.file])).frames == prepared.samples
    assert {shard.channel for shard in prepared.shards} == {0, 1}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda both: np.repeat(both.mean(axis=1, keepdims=True), 2, axis=1),
        lambda both: both.mean(axis=1, keepdims=True) * np.array([1.0, 0.8]),
        lambda both: both.mean(axis=1, keepdims=True) * np.array([1.0, -1.0]),
        lambda both: both.mean(axis=1, keepdims=True) * np.array([0.0, 1.0]),
        lambda both: both @ np.array([[1.0, 0.6], [0.6, 1.0]]),
    ],
    ids=["twice", "other gain", "turned around", "one side", "a room"],
)
@pytest.mark.parametrize("name", ["d02_fm", "d02_ff_overlap"])
def test_stereo_of_one_place_stays_one_track(
    shared_audio: Path, name: str, spoil: Callable[[NDArray[np.float64]], NDArray[np.float64]], tmp_path: Path
) -> None:
    """And none of its speech is lost in the mix, even where the sides would cancel."""
    both, _ = soundfile.read(shared_audio / "dialogues" / name / f"{name}.stereo.flac")
    prepared, _ = _prepare(save(tmp_path / "spoilt.wav", spoil(both)), tmp_path)
    plain, _ = _prepare(shared_audio / "dialogues" / name / f"{name}.flac", tmp_path)
    assert prepared.channels == ()
    assert prepared.speech_s == pytest.approx(plain.speech_s, rel=0.05)


def test_a_leak_of_20_db_is_taken_off(shared_audio: Path, tmp_path: Path) -> None:
    """The two tracks still share their speech as the clean call does."""
    both, _ = soundfile.read(shared_audio / CALLS[1][0])
    leaking, _ = _prepare(save(tmp_path / "leak.wav", both @ np.array([[1.0, 0.1], [0.1, 1.0]])), tmp_path)
    clean, _ = _prepare(shared_audio / CALLS[1][0], tmp_path)
    for dirty, own in zip(leaking.channels, clean.channels, strict=True):
        spoken = [sum(span.duration_s for span in track.speech) for track in (dirty, own)]
        assert spoken[0] == pytest.approx(spoken[1], rel=0.05)


def test_three_people_on_two_lines_are_not_told_by_the_line(shared_audio: Path, tmp_path: Path) -> None:
    """Who says that there are three gets no track a person."""
    prepared, _ = _prepare(shared_audio / CALLS[0][0], tmp_path, options=JobOptions(speakers=3))
    assert prepared.channels == ()


def test_no_recording_of_speech_loses_its_speech(shared_audio: Path, tmp_path: Path) -> None:
    """Every one of them, at its own level and 40 dB below it, has shards that hold half of its length or more."""
    for path in sorted([*shared_audio.rglob("*.wav"), *shared_audio.rglob("*.flac")])[::4]:
        for gain in (1.0, 0.01):
            samples, rate = soundfile.read(path)
            prepared, _ = _prepare(save(tmp_path / "quiet.wav", samples * gain, rate), tmp_path)
            assert prepared.speech_s > 0.4 * prepared.duration_s, (path.name, gain)


def _tune(seed: int = 0) -> NDArray[np.float64]:
    """Plucked chords with a melody above them."""
    rng, out = np.random.default_rng(seed), np.zeros(20 * RATE)
    for start in range(0, len(out) - RATE, RATE // 2):
        time = np.arange(RATE) / RATE
        for semitone in (0, 4, 7, int(rng.choice([12, 14, 16, 19]))):
            hz = 220 * 2 ** (semitone / 12)
            partials = [np.sin(2 * np.pi * hz * number * time) / number for number in range(1, 7)]
            out[start : start + RATE] += np.sum(partials, axis=0) * np.exp(-4 * time)
    return out / np.abs(out).max() * 0.5


def _hum() -> NDArray[np.float64]:
    time = np.arange(20 * RATE) / RATE
    return 0.2 * np.sin(2 * np.pi * 50 * time) + 0.05 * np.sin(2 * np.pi * 150 * time)


def _ringing() -> NDArray[np.float64]:
    time = np.arange(20 * RATE) / RATE
    return 0.2 * (np.sin(2 * np.pi * 440 * time) + np.sin(2 * np.pi * 480 * time)) * (time % 6 < 2)


def _waves() -> NDArray[np.float64]:
    """Noise of speech's bandwidth that swells as syllables do."""
    band = signal.sosfilt(signal.butter(2, [300, 3000], "band", fs=RATE, output="sos"), noise(20))
    return band * (1 + np.sin(2 * np.pi * 4 * np.arange(20 * RATE) / RATE))


NO_SPEECH: dict[str, Callable[[], NDArray[np.float64]]] = {
    "silence": lambda: np.zeros(20 * RATE),
    "loud noise": lambda: noise(20, level=0.3),
    "faint noise": lambda: noise(20, level=0.001),
    "music": _tune,
    "hum": _hum,
    "ringing": _ringing,
    "waves": _waves,
}


@pytest.mark.parametrize("sound", NO_SPEECH.values(), ids=NO_SPEECH)
def test_what_is_no_speech_gives_no_shards(sound: Callable[[], NDArray[np.float64]], tmp_path: Path) -> None:
    """Nothing to invent words from, and nobody is asked for its language; the rest of the document is there."""
    linguist = Linguist()
    prepared, files = _prepare(save(tmp_path / "a.wav", sound()), tmp_path, linguist=linguist)
    assert (prepared.shards, prepared.mix.speech, prepared.language, linguist.asked) == ((), (), None, [])
    assert sorted(files) == ["audio.flac", "peaks.json"]
    assert prepared.samples == 20 * RATE


def test_shards_are_the_recording(shared_audio: Path, tmp_path: Path) -> None:
    """Each file holds exactly the samples that its offsets name."""
    prepared, files = _prepare(shared_audio / "dialogues/d02_mm/d02_mm.flac", tmp_path, target=3)
    whole, _ = soundfile.read(files[prepared.mix.file])
    assert [shard.index for shard in prepared.shards] == [0, 1, 2]
    for shard in prepared.shards:
        piece, _ = soundfile.read(files[shard.file])
        assert np.array_equal(piece, whole[shard.start_sample : shard.start_sample + shard.samples])
    assert prepared.speech_s == pytest.approx(sum(span.duration_s for span in prepared.mix.speech), abs=1e-3)


def test_language_is_asked_once_on_speech(shared_audio: Path, tmp_path: Path) -> None:
    """Of the whole recording; and not at all when the caller says it."""
    source, linguist = shared_audio / "dialogues/d02_mm/d02_mm.flac", Linguist()
    prepared, files = _prepare(source, tmp_path, linguist=linguist)
    assert linguist.asked == [(files["audio.flac"], prepared.mix.speech)]
    assert prepared.language == LanguageGuess("en", 0.9)
    told, _ = _prepare(source, tmp_path, options=JobOptions(language="en"), linguist=linguist)
    assert (told.language, len(linguist.asked)) == (None, 1)


def test_peaks_are_drawn(tmp_path: Path) -> None:
    """Twenty a second, of the mix."""
    _, files = _prepare(save(tmp_path / "a.wav", noise(3)), tmp_path)
    assert json.loads(files["peaks.json"].read_text())["length"] == 60


def test_progress_grows_to_nine_tenths_and_the_rest_is_the_end(shared_audio: Path, tmp_path: Path) -> None:
    """It never goes back."""
    seen: list[float] = []
    prepared, _ = _prepare(shared_audio / CALLS[1][0], tmp_path, tick=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(0.9 * prepared.duration_s, abs=1e-3)


def test_stopping_is_heard_while_listening(shared_audio: Path, tmp_path: Path) -> None:
    """What the tick raises comes out of the middle of it."""

    def tick(done_s: float) -> None:
        if done_s > 60:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        _prepare(shared_audio / CALLS[1][0], tmp_path, tick=tick)


def test_length_is_counted_while_decoding(tmp_path: Path) -> None:
    """A recording over the limit is ended before it is decoded to its end, one below the least at its end."""
    long = encoded(tmp_path, "long.mp3", np.zeros(700 * RATE))
    with pytest.raises(TooLong, match="10 minutes"):
        _prepare(long, tmp_path)
    with pytest.raises(TooShort):
        _prepare(save(tmp_path / "short.wav", noise(0.2)), tmp_path)
