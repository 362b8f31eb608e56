"""The two networks as functions of arrays, run by onnxruntime on the CPU."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shared.adapters.diarization.weights import VoiceWeights, voice_weights

Matrix = NDArray[np.float32]

SEGMENTATION_FRAME_SAMPLES = 270  # one step of segmentation-3.0, 16.9 ms
SEGMENTATION_LEAST_SAMPLES = 991  # the reach of its first frame
TRUNK_FRAME_S = 0.02  # one step of the trunk
TRUNK_VALUES = 512
EMBEDDING_VALUES = 192


class SegmentationNetwork:
    """Who of up to three voices speaks, frame by frame."""

    def __init__(self, weights: VoiceWeights, threads: int) -> None:
        self._session = _session(weights.segmentation, threads)

    def probabilities(self, windows: Matrix) -> Matrix:
        """(windows, samples) -> (windows, frames, 7): nobody; voice 1, 2, 3; voices 1+2, 1+3, 2+3."""
        scores: Matrix = self._session.run(None, {"x": windows[:, None]})[0]
        np.exp(scores, out=scores)
        return scores


class VoiceNetwork:
    """What a voice sounds like: a vector every 20 ms, and the embedding of any span of them."""

    def __init__(self, weights: VoiceWeights, threads: int) -> None:
        self._session = _session(weights.trunk, threads)
        with np.load(weights.head) as head:
            self._weight, self._bias = head["weight"], head["bias"]

    def frames(self, features: Matrix) -> Matrix:
        """(n, 80) log-mel features, 10 ms apart and free of their mean -> (ceil(n / 2), 512)."""
        values: Matrix = self._session.run(None, {"x": features[None]})[0][0].T
        return values

    def embed(self, means: Matrix, deviations: Matrix) -> Matrix:
        """Unit vectors (spans, 192) of spans given by the statistics of their frames."""
        return unit(np.concatenate([means, deviations], axis=1) @ self._weight.T + self._bias)


@cache
def voice_network(model_cache: Path, threads: int) -> VoiceNetwork:
    """One a process: who tells speakers apart and who finds them again need the same, and it takes 64 MB."""
    return VoiceNetwork(voice_weights(model_cache), threads)


def unit(vectors: Matrix) -> Matrix:
    """Rows scaled to length 1; a row of zeros stays one."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Matrix = vectors / np.maximum(length, np.float32(1e-9))
    return scaled


def _session(path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the cores are shared with recognition
    options.enable_mem_pattern = False  # lengths vary; patterns of old lengths would only hold memory
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
