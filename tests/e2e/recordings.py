"""Recordings that no conversation is in, made on the spot."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 16_000


def write(path: Path, samples: NDArray[np.float32]) -> Path:
    soundfile.write(path, samples, RATE_HZ)
    return path


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(int(seconds * RATE_HZ), np.float32)


def noise(seconds: float) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0.0, 0.1, int(seconds * RATE_HZ)).astype(np.float32)


def music(seconds: float) -> NDArray[np.float32]:
    """A slow run of chords, each with overtones that fade, as of a plucked string."""
    times = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    sound = np.zeros_like(times)
    for beat, root_hz in enumerate((220.0, 174.6, 261.6, 196.0) * 20):
        since = times - beat * 0.6
        ring = np.where(since >= 0, np.exp(-3.0 * np.maximum(since, 0.0)), 0.0)
        for step in (1.0, 1.26, 1.5):
            for overtone in (1, 2, 3):
                sound += ring / overtone * np.sin(2 * np.pi * root_hz * step * overtone * since)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def ffmpeg(*arguments: str | Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def empty(folder: Path) -> Path:
    path = folder / "empty.wav"
    path.touch()
    return path


def text_called_mp3(folder: Path) -> Path:
    path = folder / "notes.mp3"
    path.write_text("We met on Monday and agreed on three things.\n" * 200)
    return path


def truncated_m4a(folder: Path) -> Path:
    """A download that broke off: the index in front promises more than there is."""
    whole, part = folder / "whole.m4a", folder / "part.m4a"
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=300:duration=30", "-c:a", "aac", "-movflags", "+faststart", whole)
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return part


def mute_video(folder: Path) -> Path:
    path = folder / "mute.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=duration=3:size=128x96:rate=10", "-an", path)
    return path


def too_short(folder: Path) -> Path:
    return write(folder / "short.wav", noise(0.2))


def too_long(folder: Path) -> Path:
    """Above the tests' two minutes, in few bytes."""
    return write(folder / "long.flac", silence(121))


def too_big(folder: Path) -> Path:
    return write(folder / "big.wav", noise(300))
