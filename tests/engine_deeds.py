"""What a stage of the lab does beside sleeping, when a job's script says so: each touches a real part from within."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from shared.domain.audio import SAMPLE_RATE_HZ, Span
from workers.context import StageContext

RECORDING = "VIBEINSIGHT_LAB_RECORDING"  # names the file that `decode` decodes
HOLD = 4096  # a page: memory that is not touched is not taken

# Kinds of jobs by name, since a session id has 200 characters only.
KINDS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "decode": {"preprocess": {"decode": True}},
    "large": {"analyze": {"leave_mb": 20}},
    "hungry": {"diarize": {"memory_mb": 300, "sleep_s": 0.5}},
    "spoken": {"transcribe": {"provider": True}},
    "papers": {"download": {"leave_mb": 2}, "synthesize": {"leave_mb": 2}},
}


def decode(context: StageContext, wanted: bool) -> None:
    """A real ffmpeg over a recording long enough to be caught at it."""
    source = Path(os.environ[RECORDING])
    context.tools.media.decode(source, context.workdir, denoise=True, on_progress=context.tick)


def provider(context: StageContext, wanted: bool) -> None:
    """A real client of whichever transcriber is configured."""
    audio = context.workdir / "speech.flac"
    soundfile.write(audio, np.full(SAMPLE_RATE_HZ, 0.1), SAMPLE_RATE_HZ)
    transcriber = context.tools.transcriber
    transcriber.transcribe(audio, speech=[Span(0.0, 1.0)], language="en", tick=context.tick)


def memory_mb(context: StageContext, megabytes: int) -> None:
    """Takes memory and touches every page of it."""
    taken = bytearray(megabytes * 1024**2)
    taken[::HOLD] = b"x" * len(range(0, len(taken), HOLD))


def leave_mb(context: StageContext, megabytes: int) -> None:
    """A file to be kept, the same in every attempt."""
    kilobyte = hashlib.shake_256(context.job.id.encode()).digest(1024)
    with (context.workdir / "large.bin").open("wb") as file:
        for _ in range(megabytes):
            file.write(kilobyte * 1024)
            context.tick(0.0)


def deaf_s(context: StageContext, seconds: float) -> None:
    """Waits for a process of its own and hears nothing meanwhile, as work inside a library does."""
    command = ["sh", "-c", f"sleep {seconds}; : {context.workdir}/"]
    subprocess.run(command, check=True, process_group=0)


DEEDS: Mapping[str, Callable[[StageContext, Any], None]] = {
    deed.__name__: deed for deed in (decode, provider, memory_mb, leave_mb, deaf_s)
}


def do(script: Mapping[str, Any], context: StageContext) -> Mapping[str, Path]:
    """All that the script asks for, in order; the files that it left."""
    for name, wanted in script.items():
        if name in DEEDS:
            DEEDS[name](context, wanted)
    left = context.workdir / "large.bin"
    return {left.name: left} if left.exists() else {}
