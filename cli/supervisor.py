"""Keeps children running: one that dies is started again, sooner the first time than the tenth."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cli.servers.process import Child

LOOK_EVERY_S = 0.25
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
SETTLED_AFTER_S = 60.0  # who ran this long begins again with the first pause
STOP_WITHIN_S = 10.0  # for all children together; what was not finished then is taken up at the next start


@dataclass(frozen=True)
class _Death:
    """Which process died, the how manieth in a row, and when its successor may start."""

    pid: int
    in_a_row: int
    again_at: float


class Supervisor:
    """Watches lists of children, servers and services alike, and replaces the dead in place."""

    def __init__(self, crews: Sequence[list[Child]], tell: Callable[[str], None]) -> None:
        self._crews = crews
        self._tell = tell
        self._deaths: dict[str, _Death] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the watching, not the children."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            self.look()

    def look(self) -> None:
        for crew in self._crews:
            for place, child in enumerate(crew):
                if not child.alive and not self._stopping.is_set() and self._may_return(child):
                    crew[place] = child.again()

    def _may_return(self, child: Child) -> bool:
        name = child.recipe.name
        death = self._deaths.get(name)
        if death is None or death.pid != child.pid:
            death = self._deaths[name] = self._note(child, death)
        return time.monotonic() >= death.again_at

    def _note(self, child: Child, before: _Death | None) -> _Death:
        now = time.monotonic()
        settled = now - child.started_at > SETTLED_AFTER_S
        in_a_row = 1 if before is None or settled else before.in_a_row + 1
        pause = pause_s(in_a_row)
        code, log = child.process.returncode, child.recipe.log.name
        self._tell(f"{child.recipe.name} ended ({code}), see {log}; starting it again in {pause:.1f} s")
        return _Death(child.pid, in_a_row, now + pause)


def pause_s(deaths: int) -> float:
    return float(min(FIRST_PAUSE_S * 2 ** (deaths - 1), LONGEST_PAUSE_S))


def stop_all(children: list[Child], within_s: float = STOP_WITHIN_S) -> None:
    """Ask all at once, then give them the same deadline."""
    deadline = time.monotonic() + within_s
    for child in children:
        child.ask_to_stop()
    for child in reversed(children):
        child.stop(max(0.0, deadline - time.monotonic()))
    children.clear()
