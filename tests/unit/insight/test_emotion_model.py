"""A speech emotion network by path: read as its description says, refused with what to mend."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.adapters.emotion_onnx import OnnxEmotion
from shared.domain.errors import SetupError
from shared.ports.emotion import Affect
from shared.settings import Settings

pytestmark = pytest.mark.unit

onnx = pytest.importorskip("onnx", reason="the extra `models` builds the test's network")

DIMENSIONS = {
    "name": "tiny",
    "version": "1",
    "input": "signal",
    "output": "logits",
    "labels": ["arousal", "dominance", "valence"],
    "range": [0, 1],
}
CATEGORIES = {
    "name": "tiny",
    "version": "1",
    "labels": ["angry", "happy", "neutral"],
    "softmax": True,
    "places": {"angry": [-0.6, 0.7], "happy": [0.8, 0.5], "neutral": [0, 0]},
}


def _model(folder: Path, description: Any, bias: tuple[float, ...] = (0.75, 0.5, 0.25)) -> OnnxEmotion:
    """A network that gives the loudness of what it hears, times zero, plus `bias`."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("ReduceMean", ["signal"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "bias"], ["logits"]),
    ]
    constants = [
        helper.make_tensor("zero", kind, [1], [0.0]),
        helper.make_tensor("bias", kind, [len(bias)], list(bias)),
    ]
    signal = helper.make_tensor_value_info("signal", kind, [1, None])
    logits = helper.make_tensor_value_info("logits", kind, [1, len(bias)])
    graph = helper.make_graph(nodes, "tiny", [signal], [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))
    (folder / "emotion.json").write_text(json.dumps(description), encoding="utf-8")
    return OnnxEmotion(Settings(emotion_model=folder))


def test_dimensions_are_scaled(tmp_path: Path) -> None:
    """Arousal 0.75 and valence 0.25 of 0..1 are 0.5 and -0.5 of -1..1, in the order of the labels."""
    model = _model(tmp_path, DIMENSIONS)
    assert model.judge(np.zeros(16_000, np.float32)) == Affect(valence=-0.5, arousal=0.5)
    assert (model.provenance.model, model.provenance.version) == ("tiny", "1")


def test_categories_become_a_place(tmp_path: Path) -> None:
    """A network that is sure of happy is where happy is; one that is torn lies between."""
    sure = _model(tmp_path, CATEGORIES, (0.0, 50.0, 0.0)).judge(np.ones(16_000, np.float32))
    torn = _model(tmp_path, CATEGORIES, (0.0, 0.0, -50.0)).judge(np.ones(16_000, np.float32))
    assert sure == Affect(0.8, 0.5)
    assert torn == Affect(0.1, 0.6)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """A missing file, unreadable words, labels that name nothing, a count that does not fit."""
    with pytest.raises(SetupError, match=r"emotion\.json"):
        _ = OnnxEmotion(Settings(emotion_model=tmp_path)).provenance
    with pytest.raises(SetupError, match="valence"):
        _ = _model(tmp_path, {**DIMENSIONS, "labels": ["a", "b", "c"]}).provenance
    with pytest.raises(SetupError, match="labels"):
        _model(tmp_path, DIMENSIONS, (0.5, 0.5)).judge(np.zeros(16_000, np.float32))
    (tmp_path / "model.onnx").write_bytes(b"no network")
    with pytest.raises(SetupError, match=r"model\.onnx"):
        OnnxEmotion(Settings(emotion_model=tmp_path)).judge(np.zeros(16_000, np.float32))
