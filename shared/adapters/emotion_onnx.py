"""A speech emotion network on onnxruntime, by path: wav2vec2 with dimensions, emotion2vec with categories, or alike.

No package carries such weights, so whoever wants one names a folder with `model.onnx` and `emotion.json`, which says
how to read what it puts out:

    {"name": "wav2vec2-msp-dim", "version": "1", "input": "signal", "output": "logits",
     "labels": ["arousal", "dominance", "valence"], "range": [0, 1], "normalise": true}

    {"name": "emotion2vec", "version": "1", "output": "scores", "softmax": true,
     "labels": ["angry", "happy", "neutral", "sad"],
     "places": {"angry": [-0.6, 0.7], "happy": [0.8, 0.5], "neutral": [0, 0], "sad": [-0.7, -0.4]}}

With `places` (valence, arousal of each category) the answer is their mean, each weighted by its probability.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.domain.errors import SetupError
from shared.domain.transcript import Provenance
from shared.ports.emotion import Affect
from shared.ports.speech import Samples
from shared.settings import Settings

WEIGHTS, DESCRIPTION = "model.onnx", "emotion.json"


class _Description(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    labels: tuple[str, ...]
    input: str | None = None  # None: the only one, or the first
    output: str | None = None
    range: tuple[float, float] = (-1.0, 1.0)  # of the dimensions, as the network gives them
    places: dict[str, tuple[float, float]] | None = None  # category -> valence, arousal
    softmax: bool = False  # the categories come as logits
    normalise: bool = False  # the network wants samples of mean 0 and variance 1


class OnnxEmotion:
    """Port `EmotionModel`."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.emotion_model or Path()
        self._threads = settings.engine_threads

    @cached_property
    def provenance(self) -> Provenance:
        described = self._described
        digest = hashlib.sha256(described.model_dump_json().encode()).hexdigest()[:12]
        weights = self._folder / WEIGHTS
        if not weights.is_file():
            raise SetupError(f"VIBEINSIGHT_EMOTION_MODEL names {self._folder}, which holds no {WEIGHTS}")
        parameters = {"description": digest, "weights_bytes": weights.stat().st_size}
        return Provenance("onnx", described.name, described.version, parameters)

    def judge(self, samples: Samples) -> Affect:
        values = self._run(samples)
        if values.shape != (len(self._described.labels),):
            raise SetupError(f"The emotion model gives {values.shape} values for {len(self._described.labels)} labels")
        if self._described.places is not None:
            return self._of_categories(values)
        low, high = self._described.range
        scaled = np.clip(2 * (values - low) / (high - low) - 1, -1, 1)
        found = dict(zip(self._described.labels, (round(float(value), 3) for value in scaled), strict=True))
        return Affect(found.get("valence"), found.get("arousal"))

    def _of_categories(self, values: NDArray[np.float64]) -> Affect:
        described = self._described
        if described.softmax:
            values = np.exp(values - values.max())
        known = [(described.places or {}).get(label, (0.0, 0.0)) for label in described.labels]
        valence, arousal = np.asarray(known).T @ values / max(float(values.sum()), 1e-9)
        return Affect(round(float(valence), 3), round(float(arousal), 3))

    def _run(self, samples: Samples) -> NDArray[np.float64]:
        if self._described.normalise:
            samples = (samples - samples.mean()) / (samples.std() + np.float32(1e-7))
        name = self._described.input or self._session.get_inputs()[0].name
        outputs = [self._described.output] if self._described.output else None
        (first, *_) = self._session.run(outputs, {name: samples[None, :].astype(np.float32)})
        return np.asarray(first, np.float64).reshape(-1)

    @cached_property
    def _described(self) -> _Description:
        try:
            text = (self._folder / DESCRIPTION).read_text(encoding="utf-8")
            described = _Description.model_validate(json.loads(text))
        except (OSError, ValueError, ValidationError) as error:
            message = f"VIBEINSIGHT_EMOTION_MODEL names {self._folder}, whose {DESCRIPTION} cannot be read: {error}"
            raise SetupError(message) from error
        if described.places is None and not {"valence", "arousal"} & set(described.labels):
            raise SetupError(f"{DESCRIPTION} names neither valence nor arousal among its labels, and no places")
        return described

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        try:
            weights = str(self._folder / WEIGHTS)
            return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises types of its own that share no base
            raise SetupError(f"The emotion model {self._folder / WEIGHTS} cannot be loaded: {error}") from error
