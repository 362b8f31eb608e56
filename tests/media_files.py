"""Recordings made on the spot by ffmpeg, whole and damaged."""

import subprocess
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from shared.adapters.ffmpeg import ffmpeg_binary

RATE = 16_000


def ffmpeg(*arguments: object) -> None:
    subprocess.run(
        [ffmpeg_binary(), "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True, capture_output=True
    )


def save(path: Path, samples: NDArray[np.float64], rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def noise(seconds: float, *, channels: int = 1, seed: int = 0, level: float = 0.1) -> NDArray[np.float64]:
    samples = np.random.default_rng(seed).standard_normal((round(seconds * RATE), channels)) * level
    return samples[:, 0] if channels == 1 else samples


def encoded(folder: Path, name: str, samples: NDArray[np.float64], *arguments: object, rate: int = RATE) -> Path:
    """`samples` in the format that `name` ends with."""
    source = save(folder / "original.wav", samples, rate)
    ffmpeg("-i", source, *arguments, folder / name)
    return folder / name


def cut_short(path: Path, share: float = 0.6) -> Path:
    """The first part of a file's bytes, as an upload that broke off leaves it."""
    shorter = path.with_name("cut-" + path.name)
    whole = path.read_bytes()
    shorter.write_bytes(whole[: int(len(whole) * share)])
    return shorter


def with_a_gap(path: Path, *, before_s: float, gap_s: float, after_s: float) -> Path:
    """Noise in Opus whose time stamps jump, as a muted microphone leaves them."""
    frame, rate = 960, 48_000
    sound = (np.random.default_rng(0).standard_normal((1, frame)) * 3000).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libopus", rate=rate, layout="mono")
        for number in range(round((before_s + after_s) * rate / frame)):
            packet_sound = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
            packet_sound.sample_rate = rate
            packet_sound.pts = number * frame + (round(gap_s * rate) if number * frame >= before_s * rate else 0)
            container.mux(stream.encode(packet_sound))
        container.mux(stream.encode(None))
    return path
