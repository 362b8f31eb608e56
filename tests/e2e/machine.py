"""A VibeInsight of its own for the tests, started as a newcomer starts it: `vibeinsight up` in a folder."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from cli.running import read_note

UP_WITHIN_S = 90.0  # 5 alone on the machine
DOWN_WITHIN_S = 45.0
JOB_WITHIN_S = 300.0  # half a minute of speech takes 20 s alone on the machine
COMMAND = [sys.executable, "-P", "-m", "cli"]


def wait_until(done: Callable[[], bool], within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.1)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@dataclass
class Machine:
    """One data folder, and the environment in which every command on it runs."""

    folder: Path
    environment: Mapping[str, str]
    port: int
    process: subprocess.Popen[bytes] | None = None
    output: Path = field(init=False)

    def __post_init__(self) -> None:
        self.output = self.folder / "up.log"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def note(self) -> dict[str, Any]:
        note: dict[str, Any] = json.loads((self.data_dir / "stack.json").read_text())
        return note

    def up(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*COMMAND, "up", "--port", str(self.port)], env=self.environment, stdout=output, stderr=output
            )
        wait_until(self._is_up, UP_WITHIN_S, "up")

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output.read_text()
        note = read_note(self.data_dir)  # not the one that a killed predecessor left
        return note is not None and note.process.split()[0] == str(self.process.pid)

    def down(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(DOWN_WITHIN_S)

    def family(self) -> list[psutil.Process]:
        """The supervisor and everything it started, however deep."""
        assert self.process is not None
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def run(self, *arguments: str | Path, within_s: float = JOB_WITHIN_S) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )

    def begin(self, *arguments: str | Path) -> subprocess.Popen[str]:
        command = [*COMMAND, *map(str, arguments)]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def client(self) -> httpx.Client:
        key = (self.data_dir / "key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.note["url"], headers=headers, trust_env=False, timeout=30)

    def secrets(self) -> dict[str, str]:
        secrets: dict[str, str] = json.loads((self.data_dir / "secrets.json").read_text())
        return secrets


def of_folder(data_dir: Path) -> list[int]:
    """Every process of this machine that was started for a data folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            mentioned = [process.environ().get("VIBEINSIGHT_DATA_DIR", ""), process.cwd(), *process.cmdline()]
            if any(str(data_dir) in text for text in mentioned):
                found.append(process.pid)
    return found


def bare_environment(**more: str) -> dict[str, str]:
    """What a fresh machine has: no ffmpeg or server on PATH, nothing of ours configured."""
    kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "LC_ALL", "TMPDIR")}
    return kept | {"PATH": "/usr/bin:/bin", "NO_PROXY": "127.0.0.1,localhost"} | more
