"""The preprocess stage: any recording becomes 16 kHz tracks, the speech in them, and pieces to recognise.

The time line is the recording's own: nothing is cut out, silence is only marked.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from pipelines.audio import flac
from pipelines.audio.shards import Piece, cut, share_out
from pipelines.audio.tracks import MIX_FILE, Heard, Listened, listen_to
from shared.domain.audio import SAMPLE_RATE_HZ, IntakeLimits, LanguageGuess, PreparedAudio, Shard
from shared.domain.job import JobOptions
from shared.ports.media import Decoded, MediaTool
from shared.ports.speech import Transcriber, VoiceActivity
from shared.ports.tick import Tick

PEAKS_FILE = "peaks.json"
_DECODED, _HEARD = 0.4, 0.9  # of the stage's time is over by then, measured on an hour of stereo
_TWO_PARTIES = (None, 2)

Files = dict[str, Path]


def preprocess(  # noqa: PLR0913 - each port by name
    source: Path,
    *,
    options: JobOptions,
    media: MediaTool,
    voice_activity: VoiceActivity,
    transcriber: Transcriber,
    target_shards: int,
    limits: IntakeLimits,
    workdir: Path,
    tick: Tick,
) -> tuple[PreparedAudio, Files]:
    decoded = _decode(source, media, denoise=options.denoise, limits=limits, workdir=workdir, tick=tick)
    duration_s = decoded.samples / SAMPLE_RATE_HZ

    def on_heard(share: float) -> None:
        tick(round(duration_s * (_DECODED + (_HEARD - _DECODED) * share), 3))

    heard = listen_to(decoded, voice_activity, two_party=options.speakers in _TWO_PARTIES, on_share=on_heard)
    shards, files = _write_shards(heard, decoded.samples, target_shards, workdir)
    tick(round(duration_s * _HEARD, 3))
    prepared = PreparedAudio(
        duration_s=duration_s,
        samples=decoded.samples,
        mix=heard.mix.track,
        channels=tuple(listened.track for listened in heard.channels),
        shards=shards,
        language=_language(options, transcriber, heard) if shards else None,
        denoised=options.denoise,
    )
    return prepared, files | _track_files(heard) | {PEAKS_FILE: _write_peaks(heard, workdir)}


def _decode(
    source: Path, media: MediaTool, *, denoise: bool, limits: IntakeLimits, workdir: Path, tick: Tick
) -> Decoded:
    """A header may lie about the length, so it is counted while decoding."""

    def on_progress(done_s: float) -> None:
        limits.check_longest(done_s)
        tick(done_s * _DECODED)

    decoded = media.decode(source, workdir, denoise=denoise, on_progress=on_progress)
    limits.check_longest(decoded.samples / SAMPLE_RATE_HZ)
    limits.check_shortest(decoded.samples / SAMPLE_RATE_HZ)
    return decoded


def _write_shards(heard: Heard, samples: int, target: int, workdir: Path) -> tuple[tuple[Shard, ...], Files]:
    shards, files = list[Shard](), Files()
    for index, (listened, piece) in enumerate(sorted(_pieces(heard, samples, target), key=_by_start)):
        name = f"shard-{index:03d}.flac"
        files[name] = _write_piece(listened, piece, samples, workdir / name)
        shards.append(Shard(index, name, listened.track.channel, piece.start_sample, piece.samples, piece.speech))
    return tuple(shards), files


def _pieces(heard: Heard, samples: int, target: int) -> Iterator[tuple[Listened, Piece]]:
    tracks = heard.to_recognise
    counts = share_out([sum(span.duration_s for span in listened.track.speech) for listened in tracks], target)
    for listened, count in zip(tracks, counts, strict=True):
        for piece in cut(samples, listened.track.speech, count, listened.levels):
            yield listened, piece


def _by_start(found: tuple[Listened, Piece]) -> tuple[int, int]:
    listened, piece = found
    return piece.start_sample, listened.track.channel or 0


def _write_piece(listened: Listened, piece: Piece, samples: int, target: Path) -> Path:
    """A piece that is the whole track needs no copy."""
    if piece.samples == samples:
        return listened.path
    flac.copy(listened.path, target, piece.start_sample, piece.samples)
    return target


def _track_files(heard: Heard) -> Files:
    return {MIX_FILE: heard.mix.path} | {listened.track.file: listened.path for listened in heard.channels}


def _write_peaks(heard: Heard, workdir: Path) -> Path:
    target = workdir / PEAKS_FILE
    target.write_text(json.dumps(heard.peaks.document(), separators=(",", ":")))
    return target


def _language(options: JobOptions, transcriber: Transcriber, heard: Heard) -> LanguageGuess | None:
    """Once for the whole recording, on speech alone: pieces would judge differently, silence not at all."""
    if options.language is not None:
        return None
    return transcriber.detect_language(heard.mix.path, heard.mix.track.speech)
