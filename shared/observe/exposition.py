"""What a scrape is answered, however many processes have counted."""

import os
from collections.abc import Iterable
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from shared.observe.counting import FOLDER, LEADER, lives
from shared.observe.metrics import REGISTRY


class Memory(Collector):
    """Of the whole group of processes, decoders included, at the moment of the scrape."""

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "memory_usage_bytes", "Resident memory of this service's processes together", value=_resident_bytes()
        )


def exposition(*more: Collector) -> bytes:
    """Our metrics, added up over the processes of this group, and what `more` adds."""
    return b"".join([_counted(), *(generate_latest(_of(one)) for one in (Memory(), *more))])


def _counted() -> bytes:
    if FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    _forget_dead(Path(os.environ[FOLDER]))
    gathered = CollectorRegistry()
    MultiProcessCollector(gathered)  # type: ignore[no-untyped-call]
    return generate_latest(gathered)


def _forget_dead(folder: Path) -> None:
    """What a process said of its present counts no more when it is gone, however it went; its counters stay."""
    for kept in folder.glob("gauge_live*_*.db"):
        pid = kept.stem.rpartition("_")[2]
        if pid.isdigit() and not lives(pid):
            kept.unlink(missing_ok=True)


def _of(collector: Collector) -> CollectorRegistry:
    alone = CollectorRegistry(auto_describe=False)
    alone.register(collector)
    return alone


def _resident_bytes() -> int:
    total = 0
    try:
        leader = psutil.Process(int(os.environ.get(LEADER, os.getpid())))
        for process in (leader, *leader.children(recursive=True)):
            total += _rss(process)
    except psutil.NoSuchProcess:
        return _rss(psutil.Process())
    return total


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
