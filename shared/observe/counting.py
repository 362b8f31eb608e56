"""Where the processes of one service count together. Imports nothing of Prometheus: it must come before that."""

import os
import shutil
import tempfile
from pathlib import Path

import psutil

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
LEADER = "VIBEINSIGHT_METRICS_LEADER"  # the first process of the group, whose descendants are its memory


def count_together(group: str) -> Path:
    """An empty folder for this process and its children, made before anything is counted. Dead groups' are removed.

    A configured PROMETHEUS_MULTIPROC_DIR holds one such folder for each group; else the folder for temporary files.
    """
    configured = os.environ.get(FOLDER)
    root = Path(configured) if configured else Path(tempfile.gettempdir()) / f"vibeinsight-metrics-{os.geteuid()}"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in root.glob("*.[0-9]*"):
        if not lives(old.suffix[1:]) or old.suffix == f".{os.getpid()}":
            shutil.rmtree(old, ignore_errors=True)
    folder = root / f"{group}.{os.getpid()}"
    folder.mkdir(mode=0o700)
    os.environ |= {FOLDER: str(folder), LEADER: str(os.getpid())}
    return folder


def lives(pid: str) -> bool:
    """A killed process that nobody has waited for still has a number, but does no work."""
    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False
