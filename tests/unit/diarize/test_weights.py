"""Conversion happens once, whole, and from any number of processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.adapters.diarization.weights import voice_weights

pytestmark = pytest.mark.unit

_CONVERT = (
    "import sys; from pathlib import Path; from shared.adapters.diarization.weights import voice_weights;"
    "print(voice_weights(Path(sys.argv[1])).trunk.stat().st_size)"
)


def test_many_processes_may_convert_at_once(tmp_path: Path) -> None:
    """Three processes on one empty cache: all see whole files, and nothing else is left."""
    command = [sys.executable, "-c", _CONVERT, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    sizes = {process.communicate(timeout=120)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(sizes) == 1
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_there_is_not_converted_again(tmp_path: Path) -> None:
    """A second call leaves the files as they are."""
    first = voice_weights(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert voice_weights(tmp_path) == first
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
