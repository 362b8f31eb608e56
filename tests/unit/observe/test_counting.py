"""Where processes count, and that what one has counted outlives it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

COUNT = """
import os, sys
from shared.observe.counting import count_together
count_together("worker")
from shared.observe import metrics
from shared.observe.exposition import exposition
from shared.observe.slots import take_slot
for life in range(3):  # three children, one after the other, in the same place of the pool
    child = os.fork()
    if child == 0:
        take_slot("child0")
        metrics.RUNS_ENDED.labels("download", "done").inc()
        metrics.STAGE_SECONDS.labels("download").observe(2.0)
        os._exit(0)
    os.waitpid(child, 0)
metrics.CHILDREN_LOST.inc()
print(exposition().decode())
print("files", len(os.listdir(os.environ["PROMETHEUS_MULTIPROC_DIR"])))
"""


def counted(root: Path) -> str:
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(root)}
    done = subprocess.run([sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_children_count_where_the_one_before_them_did(tmp_path: Path) -> None:
    """Nothing that a child counted is lost with it, and the number of files does not grow with their number."""
    told = counted(tmp_path)
    assert 'vibeinsight_runs_ended_total{outcome="done",stage="download"} 3.0' in told
    assert 'audio_processing_duration_seconds_sum{stage="download"} 6.0' in told
    assert "vibeinsight_children_lost_total 1.0" in told
    assert "memory_usage_bytes" in told
    assert int(told.split("files ")[1]) == 6  # counters, histograms, gauges: of the first, and of the child's place


PRESENT = """
import os
from shared.observe.counting import count_together
count_together("api")
from shared.observe import metrics
from shared.observe.exposition import exposition
child = os.fork()
if child == 0:
    metrics.STREAMS.inc()
    print(exposition().decode(), flush=True)
    os.kill(os.getpid(), 9)
os.waitpid(child, 0)
metrics.STREAMS.inc(2)
print(exposition().decode())
"""


def test_the_dead_have_no_present(tmp_path: Path) -> None:
    """Streams that a killed process of the API had open are not counted as open any more."""
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PRESENT], env=environment, capture_output=True, text=True, check=True)
    told = [line for line in done.stdout.splitlines() if line.startswith("vibeinsight_event_streams ")]
    assert told == ["vibeinsight_event_streams 1.0", "vibeinsight_event_streams 2.0"]


def test_a_new_service_begins_from_nothing(tmp_path: Path) -> None:
    """It removes what services have left that are no more, and leaves alone what belongs to somebody who lives."""
    (tmp_path / f"api.{os.getpid()}").mkdir()
    counted(tmp_path)
    told = counted(tmp_path)
    assert 'vibeinsight_runs_ended_total{outcome="done",stage="download"} 3.0' in told
    left = {path.name.partition(".")[0] for path in tmp_path.iterdir()}
    assert left == {"api", "worker"}
    assert len(list(tmp_path.iterdir())) == 2
