"""Real workers: what their children count, what their health says when they stand still, their work's trace."""

import contextlib
import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from cli.servers.wheels import valkey_server
from shared.domain.ids import JobId
from shared.domain.job import JobStatus, Stage
from shared.queue.doorbell import CeleryDoorbell
from shared.settings import Settings
from tests.engine_lab import Lab, wait_for
from tests.engine_processes import Processes, send
from tests.otlp_receiver import Receiver, Seen, receiving

pytestmark = pytest.mark.integration

LONG_S = 120.0  # for processes to come up on a machine that is busy with other tests


def ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in probes:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in probes]


def answer(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as reply:
            return reply.status, reply.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        told = error.read().decode() if isinstance(error, urllib.error.HTTPError) else ""
        return getattr(error, "code", 0), told


class Counts(dict[tuple[str, ...], float]):
    """A scrape: by name and the values of the labels, in whatever order these stand."""

    def of(self, name: str, *labels: str) -> float | None:
        return self.get((name, *sorted(labels)))


def counts(port: int) -> Counts:
    families = text_string_to_metric_families(answer(port, "/metrics")[1])
    samples = [sample for one in families for sample in one.samples]
    return Counts({(sample.name, *sorted(sample.labels.values())): sample.value for sample in samples})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def roots(spans: list[Seen]) -> list[str]:
    """Names of the spans that hang on nothing. An attempt that was killed is known by the next one's link to it."""
    known = {span.span_id for span in spans} | {link for span in spans for link in span.links}
    return [span.name for span in spans if span.parent_id not in known]


def test_one_trace_and_all_counts_over_many_processes(lab: Lab, tmp_path: Path, receiver: Receiver) -> None:
    """Two processes of the API, two children of a worker, one of which is killed, and a steward: one connected trace
    for the job, whose first attempt at a stage died with its child, and counts that add up over all of them."""
    api, worker, steward = ports(3)
    (folder := tmp_path / "counts").mkdir()
    (logs := tmp_path / "logs").mkdir()
    settings = lab.tools.settings.model_copy(update={"lease_s": 20.0})
    processes = Processes(settings, logs, receiver.environment())
    try:
        processes.api(api, workers=2)
        processes.steward({"VIBEINSIGHT_METRICS_PORT": str(steward)})
        named = {"VIBEINSIGHT_METRICS_PORT": str(worker), "PROMETHEUS_MULTIPROC_DIR": str(folder)}
        processes.worker(environment=named)
        wait_for("the API", lambda: answer(api, "/readyz")[0] == 200, LONG_S)
        wait_for("the worker", lambda: answer(worker, "/livez")[0] == 200, LONG_S)
        headers = {"Authorization": f"Bearer {lab.tools.ledger.create_api_key(lab.owner, 'test')}"}
        script = {"shards": 1, "preprocess": {"sleep_s": 3, "die": True, "times": 1}}
        asked = {"source": {"url": "https://example.com/x.m4a"}, "session_id": json.dumps(script)}
        made = httpx.post(f"http://127.0.0.1:{api}/v1/jobs", json=asked, headers=headers, timeout=30)
        job = JobId(made.json()["id"])
        wait_for("the job", lambda: lab.get(job).status.ended, LONG_S)
        assert lab.get(job).status is JobStatus.COMPLETED

        trace_id = lab.execute("SELECT split_part(traceparent, '-', 2) FROM jobs")[0][0]

        def of_job() -> list[Seen]:
            return [span for span in receiver.spans if span.trace_id == trace_id]

        wait_for("the last span", lambda: any(span.name == "process synthesize" for span in of_job()))
        wait_for("the request's span", lambda: roots(of_job()) == ["POST /v1/jobs"])
        assert {span.service for span in of_job()} == {"vibeinsight-api", "vibeinsight-worker"}
        assert {span.name for span in of_job()} >= {
            "claim",
            "send download",
            "S3 put",
            *(f"process {one}" for one in Stage),
        }
        (again,) = [span for span in of_job() if span.name == "process preprocess"]
        assert again.attributes["vibeinsight.attempt"] == 2
        assert len(again.links) == 1

        wait_for("the counts", lambda: counts(worker).of("vibeinsight_runs_ended_total", "synthesize", "done") == 1)
        counted = counts(worker)
        assert [counted.of("audio_processing_duration_seconds_count", stage.value) for stage in Stage] == [1] * 6
        assert counted.of("audio_processing_requests_total", "completed") == 1
        assert counted.of("vibeinsight_children_lost_total") == 1
        assert counted.of("vibeinsight_run_attempts_sum", "preprocess") == 2
        assert (counted.of("memory_usage_bytes") or 0) > 1.5 * (counted.of("process_resident_memory_bytes") or 0) > 0
        assert len(list(folder.glob("counter_*.db"))) == 3  # the main process and two places for children
        seen = {counts(api).of("vibeinsight_http_requests_total", "POST", "/v1/jobs", "202") for _ in range(6)}
        assert seen == {1.0}  # whichever of the two is asked
        assert counts(steward).of("vibeinsight_ledger_up") == 1
        every_line_is_json(logs)
    finally:
        processes.stop()


def every_line_is_json(logs: Path) -> None:
    """One event a line, Celery's and uvicorn's too. Celery complains of a superuser before it asks for our logs."""
    for path in logs.glob("*.log"):
        lines = [line for line in path.read_text().splitlines() if line.startswith("{")]
        assert lines
        for line in lines:
            assert json.loads(line)["event"]


class Broker:
    """A Valkey of the test's own, to be taken away and brought back."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, ports(1)[0]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = [str(valkey_server()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen([*command, "--dir", str(self._folder)], stdout=subprocess.DEVNULL)
        wait_for("the broker", self._listens)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path)
    yield running
    running.kill()


def test_a_worker_that_takes_nothing_says_so(quick: Settings, lab: Lab, tmp_path: Path, broker: Broker) -> None:
    """Not well: its children are halted while work is due. Well: the queue is paused, the broker is away, the broker
    is back and empty, the work is being taken again."""
    (port,) = ports(1)
    (logs := tmp_path / "logs").mkdir()
    impatient = {"VIBEINSIGHT_METRICS_PORT": str(port), "VIBEINSIGHT_IDLE_BESIDE_WORK_S": "4"}
    settings = quick.model_copy(update={"lease_s": 20.0, "redis_url": SecretStr(broker.url)})
    bell = CeleryDoorbell(settings)
    processes = Processes(settings, logs, impatient)
    try:
        worker = processes.worker(Stage.DOWNLOAD)
        wait_for("the worker", lambda: answer(port, "/livez")[0] == 200, LONG_S)
        first = lab.job({"shards": 0})
        lab.tools.ledger.pause(Stage.DOWNLOAD, "test", "first")
        lab.execute("UPDATE stage_runs SET not_before = now() - interval '1 hour'")
        children = [child.pid for child in worker.children()]
        for child in children:
            send(child, signal.SIGSTOP)
        bell.ring(first.runs)
        assert answer(port, "/livez") == (200, "ok\n")
        lab.tools.ledger.resume(Stage.DOWNLOAD)
        wait_for("the health to fail", lambda: answer(port, "/livez")[0] == 503)
        assert "2 of 2 processes are halted" in answer(port, "/livez")[1]
        for child in children:
            send(child, signal.SIGCONT)
        wait_for("the work", lambda: lab.effects(first.job.id) == [("download", 0)], LONG_S)
        assert answer(port, "/livez") == (200, "ok\n")

        broker.kill()
        second = lab.job({"shards": 0, "job": 2})
        lab.execute("UPDATE stage_runs SET not_before = now() - interval '1 hour' WHERE stage = 'download'")
        wait_for("the broker to be missed", lambda: "broker" in answer(port, "/livez")[1], LONG_S)
        assert answer(port, "/livez")[0] == 200
        broker.start()

        def taken() -> bool:
            bell.ring(second.runs)
            return lab.effects(second.job.id) == [("download", 0)]

        wait_for("the work after the broker's return", taken, LONG_S)
        assert answer(port, "/livez") == (200, "ok\n")
    finally:
        processes.stop()
