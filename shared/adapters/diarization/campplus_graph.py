"""CAM++ as an ONNX graph up to its statistics pooling, and the affine head that follows it.

The trunk gives one vector of 512 values every 20 ms. Mean and deviation of any span of them, through the head, is that
span's voice embedding: so one pass serves every window and every turn. The published network ends in the affine layer;
a rectifier behind it, which common exports add, would cost a third of the accuracy on short spans.

Input `x` (1, frames, 80) log-mel features, 10 ms apart; output `y` (1, 512, ceil(frames / 2)).
"""

import numpy as np
from numpy.typing import NDArray

from shared.adapters.diarization.checkpoint import Arrays
from shared.adapters.diarization.graph import GraphWriter

# Everything below describes the published network; none of it can be chosen.
_EPSILON = 1e-5  # of the batch normalisation
_CONTEXT_FRAMES = 100  # the attention sees the mean of 2 s beside the mean of the whole
_BLOCKS = ((12, 1), (24, 2), (16, 2))  # dense layers and dilation of each block


def build_trunk(arrays: Arrays) -> bytes:
    trunk = _Trunk(GraphWriter(), arrays)
    value = trunk.front(trunk.writer.node("Transpose", "x", perm=[0, 2, 1]))
    value = trunk.convolve("xvector.tdnn.linear", value, "xvector.tdnn.nonlinear.batchnorm", strides=[2], pads=[2, 2])
    value = trunk.writer.node("Relu", value)
    trunk.open_context(value)
    for index, (layers, dilation) in enumerate(_BLOCKS, start=1):
        for layer in range(1, layers + 1):
            value = trunk.dense_layer(f"xvector.block{index}.tdnnd{layer}", value, dilation)
        value = trunk.transit(index, value)
    value = trunk.normalise("xvector.out_nonlinear.batchnorm", value)
    return trunk.writer.build(("x", (1, "frames", 80)), value, rank=3)


def head_arrays(arrays: Arrays) -> Arrays:
    """`weight` (192, 1024) and `bias` (192): the last layer with its normalisation folded in."""
    scale = 1 / np.sqrt(arrays["xvector.dense.nonlinear.batchnorm.running_var"] + _EPSILON)
    weight = arrays["xvector.dense.linear.weight"][:, :, 0] * scale[:, None]
    bias = -arrays["xvector.dense.nonlinear.batchnorm.running_mean"] * scale
    return {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}


class _Trunk:
    """The layers of CAM++ over one writer."""

    def __init__(self, writer: GraphWriter, arrays: Arrays) -> None:
        self.writer, self._arrays = writer, arrays
        self._average = self._spread = ""

    # ---- building stones

    def convolve(self, name: str, value: str, norm: str | None = None, **attributes: object) -> str:
        """A convolution with the batch normalisation behind it folded into its weights."""
        weight = self._arrays[f"{name}.weight"]
        bias = self._arrays.get(f"{name}.bias", np.zeros(len(weight), np.float32))
        if norm:
            scale, shift = self._affine(norm)
            weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
            bias = bias * scale + shift
        constants = self.writer.constant(weight.astype(np.float32)), self.writer.constant(bias.astype(np.float32))
        return self.writer.node("Conv", value, *constants, **attributes)

    def normalise(self, name: str, value: str) -> str:
        """A batch normalisation that nothing can be folded into, and its rectifier."""
        parts = ("weight", "bias", "running_mean", "running_var")
        constants = (self.writer.constant(self._arrays[f"{name}.{part}"]) for part in parts)
        return self.writer.node("Relu", self.writer.node("BatchNormalization", value, *constants, epsilon=_EPSILON))

    def _affine(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scale = self._arrays[f"{name}.weight"] / np.sqrt(self._arrays[f"{name}.running_var"] + _EPSILON)
        return scale, self._arrays[f"{name}.bias"] - self._arrays[f"{name}.running_mean"] * scale

    # ---- the two-dimensional front

    def front(self, features: str) -> str:
        value = self.writer.node("Unsqueeze", features, self.writer.ints(1))
        value = self.writer.node("Relu", self.convolve("head.conv1", value, "head.bn1", pads=[1] * 4))
        for layer in ("head.layer1", "head.layer2"):
            value = self._residual(f"{layer}.1", self._residual(f"{layer}.0", value, stride=2), stride=1)
        value = self.convolve("head.conv2", value, "head.bn2", strides=[2, 1], pads=[1] * 4)
        value = self.writer.node("Relu", value)
        return self.writer.node("Reshape", value, self.writer.ints(1, 320, -1))

    def _residual(self, name: str, value: str, stride: int) -> str:
        strides = [stride, 1]  # frequency is halved, time kept
        inner = self.convolve(f"{name}.conv1", value, f"{name}.bn1", strides=strides, pads=[1] * 4)
        inner = self.convolve(f"{name}.conv2", self.writer.node("Relu", inner), f"{name}.bn2", pads=[1] * 4)
        shortcut = value
        if stride > 1:
            shortcut = self.convolve(f"{name}.shortcut.0", value, f"{name}.shortcut.1", strides=strides)
        return self.writer.node("Relu", self.writer.node("Add", inner, shortcut))

    # ---- the dense blocks

    def open_context(self, value: str) -> None:
        """Two small matrices that every dense layer shares: frames to 2 s means (plus the mean of all), and back."""
        node, ints = self.writer.node, self.writer.ints
        frames = node("Squeeze", node("Slice", node("Shape", value), ints(2), ints(3)))
        zero, one = (self.writer.constant(np.array(number, np.int64)) for number in (0, 1))
        size = self.writer.constant(np.array(_CONTEXT_FRAMES, np.int64))
        of_frame = node("Div", node("Range", zero, frames, one), size)
        last = node("Div", node("Sub", frames, one), size)
        segments = node("Range", zero, node("Add", last, one), one)
        member = node("Equal", node("Unsqueeze", of_frame, ints(1)), node("Unsqueeze", segments, ints(0)))
        member = node("Cast", member, to=1)  # (frames, segments), float
        within = node("Div", member, node("ReduceSum", member, ints(0), keepdims=1))
        self._average = node("Add", within, node("Reciprocal", node("Cast", frames, to=1)))
        self._spread = node("Transpose", member, perm=[1, 0])

    def dense_layer(self, name: str, value: str, dilation: int) -> str:
        inner = self.normalise(f"{name}.nonlinear1.batchnorm", value)
        inner = self.writer.node("Relu", self.convolve(f"{name}.linear1", inner, f"{name}.nonlinear2.batchnorm"))
        cam = f"{name}.cam_layer"
        local = self.convolve(f"{cam}.linear_local", inner, pads=[dilation] * 2, dilations=[dilation])
        context = self.writer.node("MatMul", inner, self._average)
        gate = self.writer.node("Relu", self.convolve(f"{cam}.linear1", context))
        gate = self.writer.node("Sigmoid", self.convolve(f"{cam}.linear2", gate))
        gated = self.writer.node("Mul", local, self.writer.node("MatMul", gate, self._spread))
        return self.writer.node("Concat", value, gated, axis=1)

    def transit(self, index: int, value: str) -> str:
        value = self.normalise(f"xvector.transit{index}.nonlinear.batchnorm", value)
        return self.convolve(f"xvector.transit{index}.linear", value)
