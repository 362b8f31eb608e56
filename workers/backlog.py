"""The ledger's own metrics, read from it at each scrape. They are what to alarm and to scale by."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.domain.errors import StorageUnavailable
from shared.domain.job import RunStatus, Stage
from shared.store.backlog import BURIED, BacklogReader


class LedgerCollector(Collector):
    """Every steward tells the same: take the maximum over them, not the sum."""

    def __init__(self, reader: BacklogReader) -> None:
        self._reader = reader

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("vibeinsight_ledger_up", "1 while the database answers")
        try:
            found = list(self._read())
        except StorageUnavailable:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *found]

    def _read(self) -> Iterator[Metric]:
        yield from self._open_runs()
        yield self._by_stage(
            "vibeinsight_oldest_due_seconds",
            "For how long the oldest run that may be claimed now has been waiting",
            dict(self._reader.oldest_due_s()),
        )
        paused = dict.fromkeys(self._reader.paused(), 1.0)
        yield self._by_stage("vibeinsight_queue_paused", "1 while nobody may take from the stage's queue", paused)
        yield self._buried()
        yield self._chores()
        yield GaugeMetricFamily("active_processing_jobs", "Jobs under way", value=self._reader.active_jobs())

    def _open_runs(self) -> Iterable[Metric]:
        runs = GaugeMetricFamily("vibeinsight_runs", "Open stage runs", labels=["stage", "status"])
        oldest = GaugeMetricFamily(
            "vibeinsight_oldest_run_seconds", "Age of the oldest open stage run", labels=["stage", "status"]
        )
        found = {(one.stage, one.status): one for one in self._reader.open_runs()}
        for stage in Stage:
            for status in (RunStatus.QUEUED, RunStatus.RUNNING):
                one = found.get((stage, status))
                runs.add_metric([stage, status], one.runs if one else 0)
                oldest.add_metric([stage, status], one.oldest_s if one else 0)
        return [runs, oldest]

    def _buried(self) -> Metric:
        family = GaugeMetricFamily(
            "vibeinsight_buried_runs",
            "Runs that ended as failed or dead and are still there",
            labels=["stage", "status"],
        )
        found = self._reader.buried()
        for stage in Stage:
            for status in BURIED:
                family.add_metric([stage, status], found.get((stage, status), 0))
        return family

    def _chores(self) -> Metric:
        family = GaugeMetricFamily(
            "vibeinsight_chore_failures", "How often in a row a chore of the steward has failed", labels=["chore"]
        )
        for name, failures in self._reader.chore_failures().items():
            family.add_metric([name], failures)
        return family

    def _by_stage(self, name: str, told: str, found: dict[Stage, float]) -> Metric:
        family = GaugeMetricFamily(name, told, labels=["stage"])
        for stage in Stage:
            family.add_metric([stage], found.get(stage, 0.0))
        return family
