"""The dashboard and the alert rules speak of metrics and labels that a real scrape has."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from shared.domain.job import Stage
from shared.observe import metrics
from shared.observe.exposition import exposition
from shared.store.backlog import BacklogReader
from tests.engine_lab import Lab
from workers.backlog import LedgerCollector

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
OURS = r"(?:vibeinsight|audio_processing|active_processing|memory_usage)_\w+"


def alerts() -> list[str]:
    groups = yaml.safe_load((ROOT / "infra/prometheus/alerts.yml").read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def panels() -> list[str]:
    board = json.loads((ROOT / "infra/grafana/vibeinsight.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]


def family(name: str) -> str:
    return re.sub(r"_(?:bucket|sum|count|total)$", "", name)


@pytest.fixture
def scrape(lab: Lab) -> str:
    """After a job that went well and one that failed; what can only go wrong elsewhere is counted once by hand."""
    lab.job({"shards": 1})
    lab.job({"job": 2, "preprocess": {"fail": "not_audio"}})
    lab.work_off()
    lab.execute("INSERT INTO chores (name) VALUES ('retention')")
    metrics.LEASE_EXPIRIES.labels("download").inc()
    metrics.PROVIDER_ERRORS.labels("acme", "provider_unavailable").inc()
    metrics.HTTP_REQUESTS.labels("GET", "/livez", 200).inc()
    metrics.HTTP_SECONDS.labels("GET", "/livez").observe(0.01)
    for counter in (metrics.PROVIDER_CALLS.labels("acme", "m", "success"), metrics.PROVIDER_OPENED.labels("acme")):
        counter.inc()
    metrics.PROVIDER_HELD.labels("acme", "rate").inc()
    return exposition(LedgerCollector(BacklogReader(lab.database))).decode()


def test_what_is_watched_is_there(scrape: str) -> None:
    """Each metric named in a rule or a panel exists, and has each label that is named with it."""
    known = {found.name: found for found in text_string_to_metric_families(scrape)}
    for expression in [part for whole in (*alerts(), *panels()) for part in whole.split(" or ")]:
        for name, labels in re.findall(rf"({OURS})(?:\{{([^}}]*)\}})?", expression):
            assert family(name) in known, f"{name} in {expression}"
            has = {label for sample in known[family(name)].samples for label in sample.labels}
            asked = set(re.findall(r"(\w+)\s*[=!]~?", labels))
            grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression))))
            assert asked <= has, f"{name}{{{labels}}}"
            assert grouped <= has | {"instance"}, f"{name} in {expression}"


def test_the_names_that_users_know(scrape: str) -> None:
    """They are exposed with the labels they have always had."""
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for found in text_string_to_metric_families(scrape)
        for sample in found.samples
    }
    assert values["audio_processing_requests_total", "accepted"] >= 2
    assert values["audio_processing_requests_total", "completed"] >= 1
    assert values["audio_processing_requests_total", "failed"] >= 1
    for stage in Stage:
        assert values["audio_processing_duration_seconds_count", stage.value] >= 1
    assert values["active_processing_jobs",] == 0
    assert values["memory_usage_bytes",] > 10_000_000
    assert values["vibeinsight_buried_runs", "preprocess", "failed"] == 1


def test_a_ledger_that_is_away_is_told_and_hides_nothing_else(lab: Lab) -> None:
    """The scrape still answers; the ledger's figures are missing rather than old."""
    from shared.domain.errors import StorageUnavailable

    class Away(BacklogReader):
        def open_runs(self) -> list[object]:  # type: ignore[override]
            raise StorageUnavailable("away")

    told = exposition(LedgerCollector(Away(lab.database))).decode()
    assert "vibeinsight_ledger_up 0.0" in told
    assert "vibeinsight_runs{" not in told
    assert "memory_usage_bytes" in told
