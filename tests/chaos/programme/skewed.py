"""Runs a module with a wall clock that can be set wrong: `python skewed.py OFFSET_FILE MODULE [ARGUMENTS …]`.

The file holds the seconds by which this process's `time.time` differs from the truth; it may change at any moment.
Leases and due times are the database's own, so that a worker's clock must not matter.
"""

import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path

LOOK_EVERY_S = 0.2


def skewed(true: Callable[[], float], offset_file: Path) -> Callable[[], float]:
    offset_s, looked_at = 0.0, float("-inf")

    def now() -> float:
        nonlocal offset_s, looked_at
        if time.monotonic() - looked_at > LOOK_EVERY_S:
            looked_at = time.monotonic()
            offset_s = float(offset_file.read_text() or 0)
        return true() + offset_s

    return now


def main() -> None:
    _, offset_file, module, *arguments = sys.argv
    sys.path[0] = ""  # as `python -m` has it: the folder that we were started in
    time.time = skewed(time.time, Path(offset_file))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
