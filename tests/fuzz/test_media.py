"""Damaged recordings by the hundred through probe and preprocess: a code or a whole output, never a crash."""

import json
import os
import random
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine_processes import ROOT
from tests.fuzz.mutations import mutate
from tests.media_files import encoded, noise

pytestmark = pytest.mark.fuzz

SEED = int(os.environ.get("VIBEINSIGHT_FUZZ_SEED", "1"))
FILES = int(os.environ.get("VIBEINSIGHT_FUZZ_FILES", "80"))  # `make fuzz`: 1,000
WITHIN_S = 60.0  # three decodes' time limit: more is a hang
MOST_OWN_MB, MOST_DECODER_MB = 700, 1100  # models and libraries take 300; the decoder is limited to 1,024
FORMATS = (("a.wav", ()), ("a.flac", ()), ("a.mp3", ()), ("a.m4a", ()), ("a.ogg", ("-c:a", "libopus")), ("a.webm", ()))


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Two seconds of stereo in each common format, small enough that most damage hits something."""
    folder = tmp_path_factory.mktemp("originals")
    return [encoded(folder, name, noise(2, channels=2), *more).read_bytes() for name, more in FORMATS]


class Child:
    """Starts again after a crash, so that one finding does not hide the next."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def take(self, path: Path) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], WITHIN_S)
        answer = process.stdout.readline() if ready else ""
        if answer:
            found: dict[str, Any] = json.loads(answer)
            return found
        self.stop()
        return {"outcome": f"CRASH the process ended with {process.returncode}" if ready else "CRASH it hangs"}

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-m", "tests.fuzz.media_child", str(self._folder)]
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # the libraries complain of every damaged frame
                text=True,
            )
        return self._process


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    running = Child(tmp_path / "work")
    yield running
    running.stop()


def complaint(answer: dict[str, Any]) -> str | None:
    """What is wrong with how a file was taken."""
    if answer["outcome"].startswith("CRASH"):
        return str(answer["outcome"])
    if answer["left_running"]:
        return f"{answer['left_running']} processes were left running"
    if answer["own_mb"] > MOST_OWN_MB or answer["decoder_mb"] > MOST_DECODER_MB:
        return f"it took {answer['own_mb']} MB, and the decoder {answer['decoder_mb']} MB"
    return None


def test_every_damaged_file_has_an_end(originals: list[bytes], child: Child, tmp_path: Path) -> None:
    """A code or a whole output, in bounded time and memory, and nothing left running."""
    found, outcomes = list[str](), Counter[str]()
    for number in range(FILES):
        path = tmp_path / f"{SEED}-{number}"
        path.write_bytes(mutate(originals, random.Random(f"{SEED}-{number}")))
        answer = child.take(path)
        outcomes[answer["outcome"]] += 1
        wrong = complaint(answer)
        if wrong is None:
            path.unlink()
        else:
            found.append(f"{path}: {wrong}")
    print(f"seed {SEED}, {FILES} files: {dict(outcomes.most_common())}")
    assert found == []
    assert len(outcomes) > 1


def test_the_undamaged_ones_are_taken(originals: list[bytes], child: Child, tmp_path: Path) -> None:
    """Otherwise the test above would show nothing."""
    for number, content in enumerate(originals):
        path = tmp_path / str(number)
        path.write_bytes(content)
        assert child.take(path)["outcome"] == "taken"
