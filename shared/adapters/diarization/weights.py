"""Converts the published checkpoints once into what onnxruntime runs, and keeps that in the model cache.

Many processes may start at once: each converts into a file of its own and renames it into place, so that a reader sees
a whole file or none. The file's name carries the checkpoint's hash and the recipe's version: a new recipe never meets
an old file.
"""

import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.adapters.diarization.campplus_graph import build_trunk, head_arrays
from shared.adapters.diarization.checkpoint import CAMPPLUS, SEGMENTATION, Arrays, Checkpoint, read_arrays
from shared.adapters.diarization.segmentation_graph import build_segmentation

RECIPE = 1  # raise it with every change of what the graphs compute


@dataclass(frozen=True, slots=True)
class VoiceWeights:
    """The converted networks on disk."""

    segmentation: Path  # ONNX
    trunk: Path  # ONNX
    head: Path  # npz of `weight` and `bias`


def voice_weights(cache: Path) -> VoiceWeights:
    """Converts what the cache does not hold yet. Raises SetupError when the checkpoints are not installed."""
    return VoiceWeights(
        segmentation=_cached(cache, SEGMENTATION, "network.onnx", build_segmentation),
        trunk=_cached(cache, CAMPPLUS, "trunk.onnx", build_trunk),
        head=_cached(cache, CAMPPLUS, "head.npz", lambda arrays: _npz(head_arrays(arrays))),
    )


def _cached(cache: Path, checkpoint: Checkpoint, suffix: str, convert: Callable[[Arrays], bytes]) -> Path:
    target = cache / f"{checkpoint.name}-{checkpoint.sha256[:12]}-r{RECIPE}-{suffix}"
    if not target.is_file():
        _write_whole(target, convert(read_arrays(checkpoint)))
    return target


def _write_whole(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def _npz(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy types the names as the flag `allow_pickle`
    return buffer.getvalue()
