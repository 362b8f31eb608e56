"""CPU seconds and memory of whole process trees."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

SAMPLE_EVERY_S = 3.0  # a look at 30 processes takes 0.1 s of a core; peaks last for as long as a shard does


def tree(pid: int) -> list[psutil.Process]:
    """A process and everything below it that still lives."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_s(pid: int) -> float:
    """User and system seconds of the tree, with those of children already reaped by a member of it."""
    total = 0.0
    for process in tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_mb(pid: int) -> float:
    """Proportional set size of the tree: pages shared after a fork are counted once."""
    total = 0
    for process in tree(pid):
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / 1024**2


@dataclass
class Memory:
    """Idle at the start, and the highest seen since."""

    idle_mb: float
    peak_mb: float
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def above_idle_mb(self) -> float:
        return self.peak_mb - self.idle_mb


@contextmanager
def watched_memory(pid: int) -> Iterator[Memory]:
    """Samples the tree's memory in a thread while the block runs."""
    idle = memory_mb(pid)
    memory = Memory(idle, idle)

    def sample() -> None:
        while not memory._stop.wait(SAMPLE_EVERY_S):
            memory.peak_mb = max(memory.peak_mb, memory_mb(pid))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        memory._stop.set()
        thread.join()
