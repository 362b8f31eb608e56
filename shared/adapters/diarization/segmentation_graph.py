"""segmentation-3.0 as an ONNX graph: who of up to three voices speaks, frame by frame, in a 10 s window.

SincNet (learned band-pass filters on the waveform), four bidirectional LSTM layers, two linear layers, seven classes.
Input `x` (windows, 1, samples); output `y` (windows, frames, 7) log-probabilities.
"""

import numpy as np
from numpy.typing import NDArray

from shared.adapters.diarization.checkpoint import Arrays
from shared.adapters.diarization.graph import GraphWriter
from shared.domain.audio import SAMPLE_RATE_HZ

# Everything below describes the published network; none of it can be chosen.
_LOWEST_HZ, _NARROWEST_HZ = 50.0, 50.0  # floor of a filter's low edge and of its width
_SINC_STRIDE = 10  # samples
_POOL = 3
_LEAK = 0.01  # slope of the leaky rectifier below zero
_EPSILON = 1e-5  # of the instance normalisation
_HIDDEN = 128  # LSTM cells in each direction
_LSTM_LAYERS = 4


def build_segmentation(arrays: Arrays) -> bytes:
    writer = GraphWriter()
    frames = _sincnet(writer, arrays, "x")
    frames = writer.node("Transpose", frames, perm=[2, 0, 1])  # LSTM wants (frames, windows, features)
    for layer in range(_LSTM_LAYERS):
        frames = _bidirectional_lstm(writer, arrays, layer, frames)
    frames = writer.node("Transpose", frames, perm=[1, 0, 2])
    for name in ("linear.0", "linear.1"):
        frames = writer.node("LeakyRelu", _linear(writer, arrays, name, frames), alpha=_LEAK)
    scores = writer.node("LogSoftmax", _linear(writer, arrays, "classifier", frames), axis=-1)
    return writer.build(("x", ("windows", 1, "samples")), scores, rank=3)


def _sincnet(writer: GraphWriter, arrays: Arrays, waveform: str) -> str:
    value = _instance_norm(writer, arrays, "sincnet.wav_norm1d", waveform)
    filters = writer.constant(sinc_filters(arrays))
    value = writer.node("Abs", writer.node("Conv", value, filters, strides=[_SINC_STRIDE]))
    value = _pool_and_norm(writer, arrays, 0, value)
    for layer in (1, 2):
        weights = (writer.constant(arrays[f"sincnet.conv1d.{layer}.{part}"]) for part in ("weight", "bias"))
        value = _pool_and_norm(writer, arrays, layer, writer.node("Conv", value, *weights))
    return value


def _pool_and_norm(writer: GraphWriter, arrays: Arrays, layer: int, value: str) -> str:
    value = writer.node("MaxPool", value, kernel_shape=[_POOL], strides=[_POOL])
    return writer.node("LeakyRelu", _instance_norm(writer, arrays, f"sincnet.norm1d.{layer}", value), alpha=_LEAK)


def _instance_norm(writer: GraphWriter, arrays: Arrays, name: str, value: str) -> str:
    scale, bias = (writer.constant(arrays[f"{name}.{part}"]) for part in ("weight", "bias"))
    return writer.node("InstanceNormalization", value, scale, bias, epsilon=_EPSILON)


def sinc_filters(arrays: Arrays) -> NDArray[np.float32]:
    """40 learned band-pass filters, each as an even (cosine) and an odd (sine) impulse response of 251 samples."""
    prefix = "sincnet.conv1d.0.filterbank."
    low_hz = _LOWEST_HZ + np.abs(arrays[prefix + "low_hz_"])
    high_hz = np.clip(low_hz + _NARROWEST_HZ + np.abs(arrays[prefix + "band_hz_"]), _LOWEST_HZ, SAMPLE_RATE_HZ / 2)
    time, window = arrays[prefix + "n_"], arrays[prefix + "window_"]
    width_hz = high_hz - low_hz
    even = (np.sin(high_hz @ time) - np.sin(low_hz @ time)) / (time / 2) * window
    odd = (np.cos(low_hz @ time) - np.cos(high_hz @ time)) / (time / 2) * window
    cosine = np.concatenate([even, 2 * width_hz, even[:, ::-1]], axis=1)
    sine = np.concatenate([odd, np.zeros_like(width_hz), -odd[:, ::-1]], axis=1)
    return (np.concatenate([cosine, sine]) / np.tile(2 * width_hz, (2, 1)))[:, None].astype(np.float32)


def _bidirectional_lstm(writer: GraphWriter, arrays: Arrays, layer: int, value: str) -> str:
    def both(part: str) -> list[NDArray[np.float32]]:
        return [_gates(arrays[f"lstm.{part}_l{layer}{direction}"]) for direction in ("", "_reverse")]

    biases = np.concatenate([np.stack(both("bias_ih")), np.stack(both("bias_hh"))], axis=1)
    weights = (np.stack(both("weight_ih")), np.stack(both("weight_hh")), biases)
    constants = (writer.constant(weight) for weight in weights)
    value = writer.node("LSTM", value, *constants, hidden_size=_HIDDEN, direction="bidirectional")
    value = writer.node("Transpose", value, perm=[0, 2, 1, 3])  # (frames, windows, directions, cells)
    return writer.node("Reshape", value, writer.ints(0, 0, -1))


def _gates(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """PyTorch orders the gates input, forget, cell, output; ONNX input, output, forget, cell."""
    into, forget, cell, out = np.split(weight, 4)
    return np.concatenate([into, out, forget, cell])


def _linear(writer: GraphWriter, arrays: Arrays, name: str, value: str) -> str:
    product = writer.node("MatMul", value, writer.constant(arrays[f"{name}.weight"].T))
    return writer.node("Add", product, writer.constant(arrays[f"{name}.bias"]))
