"""Children that die come back; children that are stopped do not, and neither does what they started."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cli.servers.process import Child, Guard, NotReady, Recipe
from cli.supervisor import Supervisor, pause_s, stop_all
from shared.domain.errors import SetupError

pytestmark = pytest.mark.integration

DEAF_WITH_CHILD = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
time.sleep(600)
"""


def _recipe(folder: Path, program: str, name: str = "child", grace_s: float = 5.0) -> Recipe:
    command = [sys.executable, "-c", program]
    return Recipe(name, command, folder / f"{name}.log", environment=dict(os.environ), folder=folder, grace_s=grace_s)


def _wait(done: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    """A watchdog for this test's children."""
    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    watching = Guard(lock)
    yield watching
    watching.close()
    os.close(lock)


def test_a_dead_child_is_replaced(tmp_path: Path, guard: Guard) -> None:
    """After SIGKILL another process does the same work, and the death was told."""
    told: list[str] = []
    crew = [Child(_recipe(tmp_path, "import time; time.sleep(600)"), guard)]
    first = crew[0].pid
    supervisor = Supervisor([crew], told.append)
    supervisor.start()
    os.kill(first, signal.SIGKILL)
    _wait(lambda: crew[0].pid != first and crew[0].alive)
    supervisor.stop()
    stop_all(crew)
    assert [line.partition(";")[0] for line in told] == ["child ended (-9), see child.log"]


def test_what_was_stopped_stays_stopped(tmp_path: Path, guard: Guard) -> None:
    """Once the supervisor is stopped, a child that ends is not started again."""
    crew = [Child(_recipe(tmp_path, "pass"), guard)]
    supervisor = Supervisor([crew], lambda _: None)
    supervisor.start()
    supervisor.stop()
    _wait(lambda: not crew[0].alive)
    supervisor.look()
    assert not crew[0].alive


def test_the_pauses_grow_to_a_limit() -> None:
    """A child that cannot live is tried ever more rarely."""
    assert [pause_s(deaths) for deaths in (1, 2, 3, 20)] == [0.5, 1.0, 2.0, 30.0]


def test_a_child_deaf_to_sigterm_goes_with_its_whole_group(tmp_path: Path, guard: Guard) -> None:
    """After the grace it is killed, and so is the process that it had started itself."""
    child = Child(_recipe(tmp_path, DEAF_WITH_CHILD, grace_s=0.2), guard)
    log = tmp_path / "child.log"
    _wait(lambda: log.read_text().endswith("\n"))
    grandchild = psutil.Process(int(log.read_text()))
    child.stop()
    _wait(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)
    assert not child.alive


def test_a_child_that_cannot_start_says_why(tmp_path: Path, guard: Guard) -> None:
    """Its last words are in the error."""

    def never() -> None:
        raise NotReady("no answer")

    child = Child(_recipe(tmp_path, "raise SystemExit('the disk is full')", name="server"), guard)
    with pytest.raises(SetupError, match=r"server did not come up \(no answer\)(.|\n)*the disk is full"):
        child.wait_until(never)
