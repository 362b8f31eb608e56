"""Workers and stewards as real processes, and ways to hurt them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from shared.domain.job import Stage
from shared.settings import Settings
from tests.engine_lab import environment_of
from workers.__main__ import parse, worker_command
from workers.workdir import FOLDERS, lives

ROOT = Path(__file__).parents[1]


class Processes:
    """Started here, ended here: nothing outlives the test."""

    def __init__(self, settings: Settings, logs: Path, environment: Mapping[str, str] | None = None) -> None:
        self._settings, self._logs, self._more = settings, logs, dict(environment or {})
        self._running: list[psutil.Popen] = []

    def worker(
        self, *stages: Stage, lab: bool = True, concurrency: int = 2, environment: dict[str, str] | None = None
    ) -> psutil.Popen:
        chosen = list(stages or Stage)
        command = worker_command(chosen, parse([*chosen, "--concurrency", str(concurrency)]), self._settings)
        if lab:
            command[command.index("workers.app")] = "tests.engine_lab_app"
        return self._start("worker", command, environment)

    def steward(self, environment: dict[str, str] | None = None) -> psutil.Popen:
        return self._start("steward", [sys.executable, "-m", "workers", "steward"], environment)

    def api(self, port: int, workers: int) -> psutil.Popen:
        command = [sys.executable, "-m", "api", "--port", str(port), "--workers", str(workers)]
        return self._start("api", command)

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self._logs.glob("*.log")))

    def stop(self) -> None:
        for process in self._running:
            kill_tree(process)

    def _start(self, name: str, command: Sequence[str], environment: dict[str, str] | None = None) -> psutil.Popen:
        with (self._logs / f"{len(self._running)}-{name}.log").open("w") as log:
            process = psutil.Popen(
                command,
                cwd=ROOT,
                env=environment_of(self._settings) | self._more | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)
        return process


def kill_tree(process: psutil.Popen) -> None:
    """The process and its children, at once and by their ids."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = [process]
    for member in family:
        send(member.pid, signal.SIGKILL)
    process.wait(10)


def send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def child_of_run(token: str) -> int | None:
    """The living process that works on a run: its folder is named after it."""
    pids = [int(folder.name.partition("-")[0]) for folder in FOLDERS.glob(f"*-{token}")]
    return next(filter(lives, pids), None)
