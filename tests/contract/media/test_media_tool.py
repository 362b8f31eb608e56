"""What every MediaTool must do, tried on ffmpeg with files made on the spot."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from shared.adapters.ffmpeg import Ffmpeg, ffmpeg_binary
from shared.domain.errors import (
    Cancelled,
    DecodeTimedOut,
    EmptyFile,
    MediaError,
    NoAudioTrack,
    NotAudio,
    SetupError,
    TruncatedMedia,
)
from shared.ports.media import Decoded
from shared.settings import Settings
from tests.media_files import RATE, cut_short, encoded, ffmpeg, noise, save, with_a_gap

pytestmark = pytest.mark.contract

FORMATS = [
    "a.wav",
    "a.flac",
    "a.mp3",
    "a.m4a",
    "a.ogg",
    "a.webm",
    "a.aac",
    "a.mp4",
    "a.mkv",
    "a.mka",
    "a.aiff",
]
SECONDS = 12.0


@pytest.fixture
def media() -> Ffmpeg:
    return Ffmpeg(Settings())


def _decode(media: Ffmpeg, path: Path, *, denoise: bool = False) -> Decoded:
    folder = path.parent / f"{path.name}-decoded"
    folder.mkdir()
    return media.decode(path, folder, denoise=denoise, on_progress=lambda done_s: None)


def _samples(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path)
    assert rate == RATE
    return samples


@pytest.mark.parametrize("name", FORMATS)
def test_every_common_format_keeps_its_length_and_channels(media: Ffmpeg, name: str, tmp_path: Path) -> None:
    """Header, count and files agree; a codec may add part of a frame."""
    path = encoded(tmp_path, name, noise(SECONDS, channels=2))
    facts, decoded = media.probe(path), _decode(media, path)
    assert facts.duration_s == pytest.approx(SECONDS, abs=0.15)
    assert (facts.channels, facts.bytes) == (2, path.stat().st_size)
    assert decoded.samples == pytest.approx(SECONDS * RATE, abs=0.15 * RATE)
    assert [len(_samples(side)) for side in (decoded.mix, *decoded.channels)] == [decoded.samples] * 3


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_no_sample_is_lost_or_added(media: Ffmpeg, name: str, tmp_path: Path) -> None:
    """At our own rate what comes out is what went in, to the last sample."""
    original = noise(3.21)
    decoded = _decode(media, encoded(tmp_path, name, original))
    assert decoded.channels == ()
    assert np.abs(_samples(decoded.mix) - original.clip(-1, 1)).max() < 2 / 32768


@pytest.mark.parametrize("denoise", [False, True])
@pytest.mark.parametrize(
    ("name", "tolerance"), [("a.wav", 1), ("a.flac", 1), ("a.mp3", 32), ("a.m4a", 32), ("a.ogg", 32)]
)
def test_the_time_line_is_the_recordings(
    media: Ffmpeg, name: str, tolerance: int, denoise: bool, tmp_path: Path
) -> None:
    """A click at five seconds stays there within 2 ms, whatever delay the codec has."""
    samples = np.zeros(8 * 44_100)
    samples[5 * 44_100 : 5 * 44_100 + 20] = 0.9
    decoded = _decode(media, encoded(tmp_path, name, samples, rate=44_100), denoise=denoise)
    middle = 5 * RATE + 10 * RATE / 44_100
    assert int(np.abs(_samples(decoded.mix)).argmax()) == pytest.approx(middle, abs=tolerance + 3)


def test_sound_that_begins_after_the_picture_stays_late(media: Ffmpeg, tmp_path: Path) -> None:
    """Silence stands where the recording has none yet."""
    save(tmp_path / "a.wav", noise(4))
    ffmpeg(
        *("-f", "lavfi", "-i", "color=s=64x64:d=6", "-itsoffset", "1.5", "-i", tmp_path / "a.wav"),
        *("-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-c:a", "flac", tmp_path / "late.mkv"),
    )
    sound = _samples(_decode(media, tmp_path / "late.mkv").mix)
    assert np.abs(sound[: int(1.4 * RATE)]).max() == 0
    assert np.abs(sound[int(1.6 * RATE) : int(1.7 * RATE)]).max() > 0.05


def test_a_gap_in_the_recording_stays_a_gap(media: Ffmpeg, tmp_path: Path) -> None:
    """What follows it is where the recording says, and silence stands between."""
    path = with_a_gap(tmp_path / "gap.webm", before_s=3, gap_s=10, after_s=2)
    sound = _samples(_decode(media, path).mix)
    assert len(sound) == pytest.approx(15 * RATE, abs=0.1 * RATE)
    assert np.abs(sound[4 * RATE : 12 * RATE]).max() < 0.001
    assert np.std(sound[14 * RATE :]) > 0.01


def test_left_right_and_mean(media: Ffmpeg, tmp_path: Path) -> None:
    """Each side goes to its own file and the mix is their mean."""
    both = noise(2, channels=2)
    decoded = _decode(media, save(tmp_path / "a.wav", both))
    left, right = map(_samples, decoded.channels)
    assert np.abs(left - both[:, 0].clip(-1, 1)).max() < 2 / 32768
    assert np.abs(right - both[:, 1].clip(-1, 1)).max() < 2 / 32768
    assert np.abs(_samples(decoded.mix) - both.mean(axis=1)).max() < 3 / 32768


@pytest.mark.parametrize("channels", [3, 4, 6, 8])
def test_many_microphones_are_mixed(media: Ffmpeg, channels: int, tmp_path: Path) -> None:
    """Every channel is in the mean, whatever its name, and none gets a file."""
    many = np.zeros((RATE, channels))
    many[:, channels - 1] = noise(1)
    decoded = _decode(media, save(tmp_path / "a.wav", many))
    assert decoded.channels == ()
    assert np.std(_samples(decoded.mix)) == pytest.approx(np.std(many[:, -1]) / channels, rel=0.02)


def test_a_picture_does_not_matter(media: Ffmpeg, tmp_path: Path) -> None:
    """The sound of a video is taken."""
    save(tmp_path / "a.wav", noise(3))
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=3:s=64x64", "-i", tmp_path / "a.wav", "-shortest", tmp_path / "film.mp4")
    assert _decode(media, tmp_path / "film.mp4").samples == pytest.approx(3 * RATE, abs=0.1 * RATE)


def test_a_live_recording_without_a_length_is_measured(media: Ffmpeg, tmp_path: Path) -> None:
    """A browser's recorder writes no duration; the packets tell."""
    save(tmp_path / "a.wav", noise(5))
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", "libopus", "-live", "1", "-f", "webm", tmp_path / "live.webm")
    assert media.probe(tmp_path / "live.webm").duration_s == pytest.approx(5, abs=0.1)
    assert _decode(media, tmp_path / "live.webm").samples == pytest.approx(5 * RATE, abs=0.1 * RATE)


def test_an_estimated_length_is_not_trusted(media: Ffmpeg, tmp_path: Path) -> None:
    """A variable-bitrate MP3 without an index is longer than it seems, or shorter: it is counted, and not refused."""
    quiet_then_loud = np.concatenate([noise(20, level=0.0), noise(20, level=0.5)])
    path = encoded(tmp_path, "a.mp3", quiet_then_loud, "-q:a", "5", "-write_xing", "0")
    assert media.probe(path).duration_s == pytest.approx(40, abs=0.2)
    assert _decode(media, path).samples == pytest.approx(40 * RATE, abs=0.2 * RATE)


def test_denoise_takes_noise_away(media: Ffmpeg, tmp_path: Path) -> None:
    """Steady noise is several decibels quieter, and the length stays."""
    path = save(tmp_path / "a.wav", noise(4, level=0.01))
    plain, clean = _decode(media, path), media.decode(path, tmp_path, denoise=True, on_progress=lambda done_s: None)
    assert np.std(_samples(clean.mix)[RATE:]) < 0.6 * np.std(_samples(plain.mix)[RATE:])
    assert clean.samples == plain.samples


def test_the_same_recording_gives_the_same_bytes(media: Ffmpeg, tmp_path: Path) -> None:
    """Nothing of the day or of the source's tags is in the files, so caches hold."""
    path = encoded(tmp_path, "a.m4a", noise(2), "-metadata", "title=secret title")
    files = []
    for name in ("b.m4a", "c.m4a"):
        path = path.rename(tmp_path / name)
        files.append(_decode(media, path).mix.read_bytes())
    assert files[0] == files[1]
    assert b"secret title" not in files[0]


def _empty(folder: Path) -> Path:
    (folder / "empty.mp3").touch()
    return folder / "empty.mp3"


def _text(folder: Path) -> Path:
    (folder / "text.mp3").write_text("This is no music. " * 5000)
    return folder / "text.mp3"


def _picture(folder: Path) -> Path:
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=1:s=64x64", "-frames:v", "1", folder / "picture.jpg")
    return (folder / "picture.jpg").rename(folder / "picture.wav")


def _silent_film(folder: Path) -> Path:
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=1:s=64x64", folder / "film.mp4")
    return folder / "film.mp4"


def _playlist(folder: Path) -> Path:
    """Would have another file of this machine decoded, if it were followed."""
    save(folder / "other.wav", noise(3))
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nother.wav\n#EXT-X-ENDLIST\n")
    return folder / "list.m3u8"


def _concatenation(folder: Path) -> Path:
    save(folder / "other.wav", noise(3))
    (folder / "list.txt").write_text("ffconcat version 1.0\nfile other.wav\n")
    return folder / "list.txt"


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (_empty, EmptyFile),
        (_text, NotAudio),
        (_picture, NotAudio),
        (_playlist, NotAudio),
        (_concatenation, NotAudio),
        (_silent_film, NoAudioTrack),
    ],
)
def test_what_is_no_recording_is_refused(
    media: Ffmpeg, make: Callable[[Path], Path], error: type[MediaError], tmp_path: Path
) -> None:
    """By probing and by decoding alike, without a local path in the message."""
    path = make(tmp_path)
    for attempt in (media.probe, lambda path: _decode(media, path)):
        with pytest.raises(error) as caught:
            attempt(path)
        assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.m4a", "front.m4a", "a.webm"])
def test_a_file_that_breaks_off_is_refused(media: Ffmpeg, name: str, tmp_path: Path) -> None:
    """With two fifths missing; the message says to send the whole."""
    options = ["-movflags", "+faststart"] if name == "front.m4a" else []
    path = cut_short(encoded(tmp_path, name, noise(SECONDS), *options))
    with pytest.raises(TruncatedMedia, match="whole"):
        _decode(media, path)


def test_a_file_that_lacks_its_last_moment_is_taken(media: Ffmpeg, tmp_path: Path) -> None:
    """Two percent less is no reason to refuse an hour of talk."""
    path = cut_short(encoded(tmp_path, "a.flac", noise(60)), 0.98)
    assert _decode(media, path).samples > 58 * RATE


def test_progress_ends_at_the_length(media: Ffmpeg, tmp_path: Path) -> None:
    """It never goes back."""
    seen: list[float] = []
    path = encoded(tmp_path, "a.m4a", noise(30))
    media.decode(path, tmp_path, denoise=False, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(30, abs=0.2)


def test_stopping_ends_the_process(media: Ffmpeg, tmp_path: Path) -> None:
    """What progress raises comes out, and no child is left."""

    def stop(done_s: float) -> None:
        raise Cancelled("stop")

    path = encoded(tmp_path, "a.flac", noise(30))
    with pytest.raises(Cancelled):
        media.decode(path, tmp_path, denoise=False, on_progress=stop)
    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


def test_the_time_limit_ends_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A decoder that takes for ever is ended with what it started, and another try may help."""
    sleeper = tmp_path / "ffmpeg"
    sleeper.write_text("#!/bin/sh\nsleep 60 & echo $! > %s\nwait\n" % (tmp_path / "pid"))
    sleeper.chmod(0o755)
    monkeypatch.setenv("FFMPEG_BINARY", str(sleeper))
    with pytest.raises(DecodeTimedOut) as caught:
        _decode(Ffmpeg(Settings(decode_timeout_s=0.5)), save(tmp_path / "a.wav", noise(1)))
    assert caught.value.retryable
    assert _ended(int((tmp_path / "pid").read_text()))


def _ended(process_id: int) -> bool:
    """Gone, or dead and not yet collected by the system's first process. A signal takes a moment to arrive."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def test_the_binary_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """$FFMPEG_BINARY wins; without any ffmpeg on PATH the wheel's is found."""
    monkeypatch.setenv("FFMPEG_BINARY", "/opt/special/ffmpeg")
    assert ffmpeg_binary() == "/opt/special/ffmpeg"
    monkeypatch.delenv("FFMPEG_BINARY")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert Path(ffmpeg_binary()).is_file()


def test_a_binary_that_is_not_there_is_a_matter_of_setup(
    media: Ffmpeg, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The recording is not blamed."""
    monkeypatch.setenv("FFMPEG_BINARY", "/opt/special/ffmpeg")
    with pytest.raises(SetupError, match="FFMPEG_BINARY"):
        _decode(media, save(tmp_path / "a.wav", noise(1)))
