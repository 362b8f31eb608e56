"""One child process: started in a group of its own, watched, and stopped so that nothing of it stays behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import watchdog
from shared.domain.errors import SetupError

READY_WITHIN_S = 60.0  # a first start on a loaded machine takes 5
POLL_S = 0.02
LOG_TAIL_CHARS = 800  # enough for a server's last words
LOG_BYTES = 10 * 1024**2  # a longer log is put aside at the next start


class NotReady(Exception):
    """What a readiness probe raises while the server is still coming up."""


class Guard:
    """The pipe to the watchdog: its closing, by any death of ours, ends what was guarded."""

    def __init__(self, lock_fd: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[lock_fd],
            start_new_session=True,
            cwd="/",
        )

    def add(self, pid: int, farewell: signal.Signals) -> None:
        self._say(f"guard {pid} {int(farewell)}")

    def release(self, pid: int) -> None:
        self._say(f"release {pid}")

    def close(self) -> None:
        """Ends whatever is still guarded, then the watchdog."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()


@dataclass(frozen=True)
class Recipe:
    """How a child is started and stopped."""

    name: str
    command: Sequence[str | Path]
    log: Path
    environment: Mapping[str, str]
    folder: Path
    farewell: signal.Signals = signal.SIGTERM
    grace_s: float = 5.0
    niceness: int = 0
    leftovers: Sequence[Path] = ()  # what it puts outside its folder and forgets


class Child:
    """A running child process and its log."""

    def __init__(self, recipe: Recipe, guard: Guard) -> None:
        self.recipe = recipe
        self.started_at = time.monotonic()
        self._guard = guard
        _turn_over(recipe.log)
        with recipe.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in recipe.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=recipe.folder,
                env=dict(recipe.environment),
                start_new_session=True,
            )
        guard.add(self.pid, recipe.farewell)
        if recipe.niceness:
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, self.pid, recipe.niceness)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_until(self, probe: Callable[[], object], within_s: float = READY_WITHIN_S) -> None:
        """Ask `probe` until it no longer raises NotReady. A child that ends or stays silent is a SetupError."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                probe()
                return
            except NotReady as error:
                if not self.alive or time.monotonic() > deadline:
                    self.stop()
                    raise SetupError(self._last_words(error)) from error
            time.sleep(POLL_S)

    def again(self) -> "Child":
        """A successor by the same recipe; what the dead one left in its group is ended first."""
        self.stop()
        return Child(self.recipe, self._guard)

    def ask_to_stop(self) -> None:
        if self.alive:
            self.process.send_signal(self.recipe.farewell)

    def stop(self, within_s: float | None = None) -> None:
        """Ask, wait for as long as the recipe grants, then kill exactly this group: what it started included."""
        self.ask_to_stop()
        try:
            self.process.wait(self.recipe.grace_s if within_s is None else within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._guard.release(self.pid)
        for leftover in self.recipe.leftovers:
            leftover.unlink(missing_ok=True)

    def _last_words(self, error: Exception) -> str:
        text = self.recipe.log.read_text(errors="replace")[-LOG_TAIL_CHARS:]
        return f"{self.recipe.name} did not come up ({error}). The end of {self.recipe.log.name}:\n{text}"


def _turn_over(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
