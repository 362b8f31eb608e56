"""Workers, stewards and the API as real processes. Whoever is killed is started again, as a platform does."""

import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psutil

from cli.servers.ports import free_ports
from shared.adapters.ffmpeg import ffmpeg_binary
from shared.domain.job import Stage
from shared.settings import Settings
from tests.engine_deeds import RECORDING
from tests.engine_lab import environment_of
from tests.engine_processes import ROOT, kill_tree
from workers.__main__ import parse, worker_command
from workers.workdir import lives

SKEWED = Path(__file__).with_name("skewed.py")
LAB_APP = "tests.engine_lab_app"
DISK_MB = 96  # of a worker's own, where the kernel lets us mount one; a run leaves 20 and up to four run at once
MOST_GONE = 60  # in a whole run: more is an engine that does not start
# A shell mounts the small disk where temporary files go, and becomes the worker.
SMALL_DISK = f'mount -t tmpfs -o size={DISK_MB}m,mode=700 none "$TMPDIR" && exec "$@"'
NAMESPACE = ("unshare", "--map-root-user", "--mount", "sh", "-c")


def may_mount() -> bool:
    """Whether an ordinary process may have a disk of its own here."""
    try:
        done = subprocess.run([*NAMESPACE, "mount -t tmpfs none /mnt"], capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@dataclass
class Worker:
    """One worker with its children, its folder for temporary files and its clock's error."""

    process: psutil.Popen
    temporary: Path
    clock: Path

    def children(self) -> list[psutil.Process]:
        try:
            return [child for child in self.process.children() if child.status() != psutil.STATUS_ZOMBIE]
        except psutil.NoSuchProcess:
            return []

    def family(self) -> list[psutil.Process]:
        try:
            return [self.process, *self.process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def disk(self) -> Path:
        """Its temporary folder as it sees it: through its own mounts."""
        return Path(f"/proc/{self.process.pid}/root{self.temporary}")

    def has_own_disk(self) -> bool:
        try:
            return self.disk().stat().st_dev != self.temporary.stat().st_dev
        except OSError:
            return False

    def at_work(self) -> dict[str, int]:
        """Tokens of the runs that its children work on, with the child's id."""
        try:
            folders = [folder.name for folder in self.disk().glob("vibeinsight-runs-*/*-*")]
        except OSError:
            return {}
        pairs = [(int(pid), token) for pid, _, token in (name.partition("-") for name in folders)]
        return {token: pid for pid, token in pairs if lives(pid)}


class Crew:
    def __init__(self, settings: Settings, folder: Path, recording: Path, *, processes: int) -> None:
        self._settings, self._folder, self._recording = settings, folder, recording
        self._processes = processes
        self._mounts, self._numbers = may_mount(), count()
        self._started: list[psutil.Popen] = []
        self._gone = 0
        self.workers: list[Worker] = []
        self.stewards: list[psutil.Popen] = []
        self.api = self._start_api()

    def look(self) -> int:
        """Who ended by itself is started again. How many those were."""
        gone = 0
        for place, worker in enumerate(self.workers):
            if worker.process.poll() is not None:
                self.replace_worker(place)
                gone += 1
        for place, steward in enumerate(self.stewards):
            if steward.poll() is not None:
                self.replace_steward(place)
                gone += 1
        if self.api.poll() is not None:
            self.replace_api()
            gone += 1
        self._gone += gone
        assert self._gone < MOST_GONE, f"processes end by themselves again and again; see the logs in {self._folder}"
        return gone

    @property
    def has_small_disks(self) -> bool:
        return self._mounts

    def man(self, workers: int, stewards: int = 2) -> None:
        self.workers = [self._worker() for _ in range(workers)]
        self.stewards = [self._steward() for _ in range(stewards)]

    def replace_worker(self, place: int) -> None:
        kill_tree(self.workers[place].process)
        self.workers[place] = self._worker()

    def replace_steward(self, place: int) -> None:
        kill_tree(self.stewards[place])
        self.stewards[place] = self._steward()

    def replace_api(self) -> None:
        kill_tree(self.api)
        self.api = self._start_api()

    def stop(self) -> None:
        for process in self._started:
            kill_tree(process)

    def logs(self) -> list[Path]:
        return sorted(self._folder.glob("*.log"))

    def strays(self) -> list[str]:
        """Once nothing is at work: decoders that nobody waits for any more."""
        marked = str(self._folder)
        lines = [" ".join(found.info["cmdline"] or ()) for found in psutil.process_iter(["cmdline"])]
        return [line for line in lines if "ffmpeg" in line and marked in line]

    def _worker(self) -> Worker:
        number = next(self._numbers)
        temporary, clock = self._folder / f"tmp-{number}", self._folder / f"clock-{number}"
        temporary.mkdir()
        clock.write_text("0")
        command = worker_command(list(Stage), parse([*Stage, "--concurrency", str(self._processes)]), self._settings)
        command[command.index("workers.app")] = LAB_APP
        skewed = [sys.executable, str(SKEWED), str(clock), *command[command.index("-m") + 1 :]]
        wrapped = [*NAMESPACE, SMALL_DISK, "sh", *skewed] if self._mounts else skewed
        more = {"TMPDIR": str(temporary), RECORDING: str(self._recording), "FFMPEG_BINARY": ffmpeg_binary()}
        return Worker(self._start(f"{number:03d}-worker", wrapped, more), temporary, clock)

    def _steward(self) -> psutil.Popen:
        return self._start(f"{next(self._numbers):03d}-steward", [sys.executable, "-m", "workers", "steward"], {})

    def _start_api(self) -> psutil.Popen:
        """At an address of its own each time: while it is away, anybody may take the one that it had."""
        (port,) = free_ports(1)
        self.api_url = f"http://127.0.0.1:{port}"
        arguments = ["-m", "api", "--port", str(port)]
        return self._start(f"{next(self._numbers):03d}-api", [sys.executable, *arguments], {})

    def _start(self, name: str, command: Sequence[str], more: Mapping[str, str]) -> psutil.Popen:
        with (self._folder / f"{name}.log").open("w") as log:
            process = psutil.Popen(
                command,
                cwd=ROOT,
                env=environment_of(self._settings) | dict(more),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started.append(process)
        return process


def limit(process: psutil.Process, kind: int, most: int) -> None:
    """A soft limit of a running process; lifted again with RLIM_INFINITY."""
    if os.path.exists(f"/proc/{process.pid}"):
        hard = resource.prlimit(process.pid, kind)[1]
        resource.prlimit(process.pid, kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
