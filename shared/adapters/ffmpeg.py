"""Recordings in any format to 16 kHz mono FLAC: facts by PyAV, one streaming decode by an ffmpeg process.

What is given to us is hostile until shown otherwise: only known containers are opened, none that name other files
(playlists, concat lists), and neither PyAV nor ffmpeg may reach anything but the file itself.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import soundfile
from av.audio.stream import AudioStream
from av.container import InputContainer

from shared.adapters.ffmpeg_process import DecodeLog, run_decoder
from shared.domain.audio import SAMPLE_RATE_HZ, MediaFacts
from shared.domain.errors import EmptyFile, NoAudioTrack, NotAudio, SetupError, TruncatedMedia
from shared.guard.sniff import HEAD_BYTES, refuse_other_kinds
from shared.ports.media import Decoded
from shared.settings import Settings

_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,wav,w64,aiff,caf,au,flac,mp3,aac,ogg,asf,avi,flv,mpegts,mpeg,amr,amrnb,amrwb,"
    "ac3,eac3,ape,wv,tta,gsm,voc"
)
_INPUT = {"protocol_whitelist": "file,pipe", "format_whitelist": _CONTAINERS}
_COUNTED = {"mp3", "aac", "amr"}  # without an index their length is a guess from the bitrate, wrong by half at times
_MISSING_SHARE = 0.05  # a header may round and an encoder may pad; more than this is lost speech
_MISSING_S = 1.0  # below a second the share means nothing
_FRAME = 16_384  # samples a frame after resampling: a twentieth of the thread switches of ffmpeg's 1,024


class Ffmpeg:
    """Port `MediaTool`."""

    def __init__(self, settings: Settings) -> None:
        self._time_limit_s = settings.decode_timeout_s

    def probe(self, path: Path) -> MediaFacts:
        with _opened(path) as container:
            stream = _audio(container)
            return MediaFacts(
                duration_s=_duration_s(container, stream),
                sample_rate_hz=stream.rate or 0,
                channels=stream.layout.nb_channels,
                codec=stream.codec_context.name,
                container=container.format.name.split(",")[0],
                bytes=path.stat().st_size,
            )

    def decode(self, path: Path, folder: Path, *, denoise: bool, on_progress: Callable[[float], None]) -> Decoded:
        """A recording of which more than 5 % is missing is refused: half a conversation gives a wrong report."""
        with _opened(path) as container:
            stream = _audio(container)
            name, channels = container.format.name, stream.layout.nb_channels
            declared_s = _declared_s(path, container, stream)
        mix, sides = folder / "mix.flac", (folder / "left.flac", folder / "right.flac") if channels == 2 else ()
        command = _command(path, channels, mix, sides, denoise=denoise)
        log = run_decoder(command, time_limit_s=self._time_limit_s, on_progress=on_progress)
        samples = _samples(mix, log)
        guessed = log.length_estimated and name in _COUNTED
        _refuse_truncated(samples / SAMPLE_RATE_HZ, None if guessed else declared_s)
        return Decoded(samples=samples, mix=mix, channels=sides)


def ffmpeg_binary() -> str:
    """$FFMPEG_BINARY, then PATH, then the one that imageio-ffmpeg carries."""
    if found := os.environ.get("FFMPEG_BINARY") or shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise SetupError("No ffmpeg: install it, set FFMPEG_BINARY, or install the extra `embedded`") from error


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    if path.stat().st_size == 0:
        raise EmptyFile("The file is empty: nothing was recorded, or the upload ended before it began")
    with path.open("rb") as file:
        refuse_other_kinds(file.read(HEAD_BYTES))
    try:
        container = av.open(f"file:{path}", options=_INPUT)
    except (av.FFmpegError, ValueError) as error:
        if _lacks_index(path):
            raise TruncatedMedia(
                "The file's index (moov) is missing: the recording or its upload ended early; send the whole file"
            ) from error
        raise NotAudio("The file is no audio or video format that we know") from error
    with container:
        yield container


def _audio(container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        raise NoAudioTrack("The file holds no audio track, only " + _kinds(container))
    stream = container.streams.audio[0]
    if not stream.rate or not stream.layout.nb_channels:
        raise NotAudio("The file's audio track cannot be read: it is damaged or protected")
    return stream


def _kinds(container: InputContainer) -> str:
    return " and ".join(sorted({stream.type for stream in container.streams})) or "an empty container"


def _duration_s(container: InputContainer, stream: AudioStream) -> float:
    header_s = _header_s(container, stream)
    if header_s is not None and container.format.name not in _COUNTED:
        return header_s
    return _counted_s(container, stream)


def _header_s(container: InputContainer, stream: AudioStream) -> float | None:
    """The shorter of the track's and the file's: a trimmed recording keeps its old track length."""
    lengths = []
    if stream.duration is not None and stream.time_base is not None:
        lengths.append(float(stream.duration * stream.time_base))
    if container.duration is not None:
        lengths.append(container.duration / av.time_base)
    return min(lengths, default=None)


def _counted_s(container: InputContainer, stream: AudioStream) -> float:
    """Read through the packets without decoding them: a live recording's file states no length."""
    end_s = counted_s = 0.0
    for packet in container.demux(stream):
        if packet.duration is None:
            continue
        counted_s += float(packet.duration * packet.time_base)
        if packet.pts is not None:
            end_s = max(end_s, float((packet.pts + packet.duration) * packet.time_base))
    return max(end_s, counted_s) if end_s == 0.0 else end_s


def _declared_s(path: Path, container: InputContainer, stream: AudioStream) -> float | None:
    """What the header promises of the audio track; None where it promises nothing."""
    if container.format.name == "wav":
        return _declared_wav_s(path, container, stream)
    if stream.duration is None and container.streams.video:
        return None  # the file's length is the picture's
    return _header_s(container, stream)


def _declared_wav_s(path: Path, container: InputContainer, stream: AudioStream) -> float | None:
    """FFmpeg shortens a WAV's length to the bytes that are there; the RIFF header knows what was meant."""
    with path.open("rb") as file:
        head = file.read(8)
    length_s, promised = _header_s(container, stream), int.from_bytes(head[4:8], "little")
    unknown = head[:4] != b"RIFF" or promised == 0 or promised >= 0x7FFF_FFFF  # written while still recording
    return None if unknown or length_s is None else length_s * (promised + 8) / path.stat().st_size


def _lacks_index(path: Path) -> bool:
    """True for an MP4 family file whose top-level boxes hold no `moov`."""
    names: list[bytes] = []
    with path.open("rb") as file:
        while len(header := file.read(8)) == 8 and len(names) < 64:
            size, name = int.from_bytes(header[:4]), header[4:8]
            names.append(name)
            if size == 1:  # the length follows in 64 bits
                size = int.from_bytes(file.read(8)) - 8
            if size < 8:
                break
            file.seek(size - 8, os.SEEK_CUR)
    return names[:1] == [b"ftyp"] and b"moov" not in names


def _command(path: Path, channels: int, mix: Path, sides: tuple[Path, ...], *, denoise: bool) -> list[str]:
    import ffmpeg

    source = ffmpeg.input(f"file:{path}", threads=1, **_INPUT)["a:0"]
    small = source.filter("aresample", SAMPLE_RATE_HZ, osf="s16")
    # `async` and `first_pts` put silence where the recording has a gap or begins late: its time line is kept.
    # Done on small samples, for FFmpeg holds a whole gap in memory.
    steady = small.filter("aresample", **{"async": 1, "first_pts": 0})
    heard = _denoised(steady) if denoise else steady
    copies = heard.filter("asetnsamples", n=_FRAME, p=0).filter_multi_output("asplit", 1 + len(sides))
    outputs = [_flac(_mono(copies[0], channels), mix)]
    outputs += [_flac(copies[side + 1].filter("pan", f"mono|c0<c{side}"), file) for side, file in enumerate(sides)]
    quiet, telling = ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "warning"], ["-progress", "pipe:1"]
    options = [*quiet, *telling, "-stats_period", "0.25"]
    compiled = ffmpeg.merge_outputs(*outputs).global_args(*options, "-filter_complex_threads", "1")
    return list(map(str, compiled.compile(cmd=ffmpeg_binary(), overwrite_output=True)))


def _denoised(stream: Any) -> Any:
    """4 dB better at 10 dB of white noise. The filter gives all 25 ms late: as much is added and taken off."""
    late = SAMPLE_RATE_HZ // 40
    filtered = stream.filter("apad", pad_len=late).filter("afftdn", nr=12, nf=-40)
    return filtered.filter("atrim", start_sample=late).filter("asetpts", "PTS-STARTPTS")


def _mono(stream: Any, channels: int) -> Any:
    """The mean of all channels, whatever they are called: no voice is left out. (`<` makes the gains sum to one.)"""
    if channels == 1:
        return stream.filter("aformat", channel_layouts="mono")
    return stream.filter("pan", "mono|c0<" + "+".join(f"c{number}" for number in range(channels)))


def _flac(stream: Any, target: Path) -> Any:
    """Nothing of the source's tags is kept, and the same samples give the same bytes."""
    import ffmpeg

    exact = {"map_metadata": -1, "fflags": "+bitexact", "flags:a": "+bitexact"}
    return ffmpeg.output(stream, f"file:{target}", format="flac", sample_fmt="s16", compression_level=0, **exact)


def _samples(mix: Path, log: DecodeLog) -> int:
    try:
        samples = int(soundfile.info(str(mix)).frames)
    except soundfile.LibsndfileError:
        samples = 0
    if samples == 0:
        why = "it is damaged or protected" if log.failed else "it is empty"
        raise NotAudio(f"Nothing of the file's audio track could be decoded: {why}") from RuntimeError(log.tail)
    return samples


def _refuse_truncated(decoded_s: float, declared_s: float | None) -> None:
    missing_s = (declared_s or 0.0) - decoded_s
    if declared_s and missing_s > max(_MISSING_S, _MISSING_SHARE * declared_s):
        raise TruncatedMedia(
            f"The file ends after {decoded_s:.0f} s of {declared_s:.0f} s: the recording or its upload ended early; "
            "send the whole file"
        )
