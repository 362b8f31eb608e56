"""A small writer of ONNX graphs, so that the two networks read as a list of layers."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.domain.errors import SetupError

OPSET = 17  # the first with everything used here; every onnxruntime that we allow runs it
IR_VERSION = 8  # the file format that belongs to opset 17


class GraphWriter:
    """Collects nodes and constants; every method returns the name of the value it made."""

    def __init__(self) -> None:
        try:
            self._onnx: Any = importlib.import_module("onnx")
        except ImportError as error:
            raise SetupError("Converting the weights needs the package onnx; install vibeinsight[models]") from error
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def node(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"v{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def build(self, feed: tuple[str, Sequence[str | int]], output: str, rank: int) -> bytes:
        """The model as bytes, with one float input and one float output of `rank` free dimensions, named `y`."""
        helper, float_type = self._onnx.helper, self._onnx.TensorProto.FLOAT
        self._nodes.append(helper.make_node("Identity", [output], ["y"]))
        graph = helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info(feed[0], float_type, list(feed[1]))],
            [helper.make_tensor_value_info("y", float_type, [f"y{axis}" for axis in range(rank)])],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        self._onnx.checker.check_model(model)
        content: bytes = model.SerializeToString()
        return content
