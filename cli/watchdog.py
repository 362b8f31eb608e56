"""Ends the children of a supervisor that died without saying goodbye.

Run as a program of its own, on the standard library alone. Its standard input is a pipe from the supervisor: a line
`guard PID SIGNAL` adds a process group, `release PID` forgets it. When the pipe closes, the supervisor is gone,
whatever killed it; the groups still known are then ended, the youngest first, by their signal and at last SIGKILL.
The data folder's lock is inherited here, so a new supervisor cannot start before the old servers are gone.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

GRACE_S = 4.0  # PostgreSQL and Valkey need less than one; SeaweedFS 2.5 and sometimes for ever
POLL_S = 0.05
STATE_FIELD, START_FIELD = 0, 19  # of /proc/PID/stat, counted after the closing bracket of the name


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def birth(pid: int) -> str | None:
    """When the process started, in kernel ticks: tells it from a later one with the same id. None: it has ended."""
    fields = _stat(pid)
    return fields[START_FIELD] if fields and fields[STATE_FIELD] not in "ZX" else None


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _end(pid: int, born: str, number: int) -> None:
    if birth(pid) == born:
        _signal_group(pid, number)
    deadline = time.monotonic() + GRACE_S
    while birth(pid) == born and time.monotonic() < deadline:
        time.sleep(POLL_S)
    _signal_group(pid, signal.SIGKILL)  # also what the leader left behind in its group


def watch(lines: Iterable[str]) -> dict[int, tuple[str, int]]:
    """Follow the supervisor until the pipe closes; returns the groups it left, in the order they were started."""
    guarded: dict[int, tuple[str, int]] = {}
    for line in lines:
        match line.split():
            case ["guard", pid, number]:
                born = birth(int(pid))
                if born is not None:
                    guarded[int(pid)] = (born, int(number))
            case ["release", pid]:
                guarded.pop(int(pid), None)
    return guarded


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the end of the pipe ends us
    for pid, (born, farewell) in reversed(watch(sys.stdin).items()):
        _end(pid, born, farewell)


if __name__ == "__main__":
    main()
