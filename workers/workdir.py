"""Temporary folders of runs: gone after the run, and after a process that could not clean up."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

# One for each user of the machine: what another user made there would be closed to us.
FOLDERS = Path(tempfile.gettempdir()) / f"vibeinsight-runs-{os.geteuid()}"


@contextmanager
def workdir(token: str) -> Iterator[Path]:
    """A folder named after the process, so that others can tell when nobody needs it any more."""
    folder = FOLDERS / f"{os.getpid()}-{token}"
    FOLDERS.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> int:
    """Folders of processes that were killed, and who still works in them: a decoder outlives its parent."""
    abandoned = [folder for folder in FOLDERS.glob("*-*") if not _alive(folder)]
    if abandoned:
        _end_orphans(abandoned)
    for folder in abandoned:
        shutil.rmtree(folder, ignore_errors=True)
    return len(abandoned)


def _end_orphans(folders: list[Path]) -> None:
    """Known by the folder in their command line; each has a group of its own."""
    named = tuple(f"{folder}/" for folder in folders)
    for process in psutil.process_iter(["cmdline", "uids"]):
        words = process.info["cmdline"] or ()
        if any(name in word for word in words for name in named) and process.info["uids"].real == os.getuid():
            with suppress(psutil.Error):
                process.kill()


def _alive(folder: Path) -> bool:
    pid, _, _ = folder.name.partition("-")
    return not pid.isdigit() or lives(int(pid))


def lives(pid: int) -> bool:
    """A killed child that nobody has waited for still has a number, but does no work."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
