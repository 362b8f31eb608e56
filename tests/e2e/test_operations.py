"""What `up` runs: visible in Flower, closed to the network, mended when it breaks, gone when it ends."""

import json
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from cli.services import FLOWER_USER
from tests.e2e import recordings
from tests.e2e.machine import DOWN_WITHIN_S, Machine, is_gone, of_folder, wait_until

pytestmark = pytest.mark.e2e

QUEUES = {"download", "preprocess", "transcribe", "diarize", "analyze", "synthesize"}


def _served_queues(machine: Machine) -> set[str]:
    """Nothing while Flower itself is still coming up, which nothing else waits for."""
    url = f"{machine.note['flower_url']}/api/workers"
    with httpx.Client(trust_env=False, auth=(FLOWER_USER, machine.secrets()["flower_password"]), timeout=20) as client:
        try:
            workers = client.get(url, params={"refresh": "true"}).raise_for_status().json()
        except httpx.TransportError:
            return set()
    return {queue["name"] for worker in workers.values() for queue in worker.get("active_queues", [])}


def test_flower_shows_the_workers_of_every_queue(machine: Machine) -> None:
    """With the password all six queues are seen being served; without it nothing is shown."""
    wait_until(lambda: _served_queues(machine) >= QUEUES, 60, "every queue is served by a worker that Flower sees")
    assert (
        httpx.get(f"{machine.note['flower_url']}/api/workers", trust_env=False).status_code == httpx.codes.UNAUTHORIZED
    )


def test_nothing_listens_beyond_the_loopback(machine: Machine) -> None:
    """No process of the family, however deep, listens on an address that the network reaches."""
    links = [link for process in machine.family() for link in process.net_connections("inet")]
    assert {link.laddr.ip for link in links if link.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def _leader(machine: Machine, mark: Callable[[list[str]], bool]) -> psutil.Process:
    supervisor, *rest = machine.family()
    return next(p for p in rest if p.ppid() == supervisor.pid and mark(p.cmdline()))


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param(lambda words: "/valkey-server" in words[0], id="valkey"),
        pytest.param(lambda words: words[0].endswith("/postgres"), id="postgres"),
        pytest.param(lambda words: words[0].endswith("/weed"), id="seaweedfs"),
        pytest.param(lambda words: "api" in words, id="api"),
        pytest.param(lambda words: "steward" in words, id="steward"),
        pytest.param(lambda words: "transcribe" in words and "workers.app" in words, id="worker"),
    ],
)
def test_what_is_killed_comes_back(machine: Machine, tmp_path: Path, mark: Callable[[list[str]], bool]) -> None:
    """After SIGKILL to a server or a service, a job that is handed in afterwards is done."""
    victim = _leader(machine, mark)
    victim.kill()
    wait_until(lambda: _another(machine, mark, victim.pid), 30, "its successor runs")
    wait_until(lambda: _is_ready(machine), 60, "the API is ready again")
    path = recordings.write(tmp_path / "silence.wav", recordings.silence(3 + victim.pid % 7))
    done = machine.run("analyze", path, "--json")
    assert done.returncode == 0, done.stderr + (machine.data_dir / "logs" / "api.log").read_text()[-2000:]


def _another(machine: Machine, mark: Callable[[list[str]], bool], than: int) -> bool:
    try:
        return _leader(machine, mark).pid != than
    except (StopIteration, psutil.Error, IndexError):
        return False


def _is_ready(machine: Machine) -> bool:
    with machine.client() as client:
        try:
            return client.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def test_ctrl_c_lets_go_of_a_job_and_says_how_to_take_it_up(machine: Machine, hostile: str) -> None:
    """Who interrupts `analyze` learns the job's id and the command that goes on with it; the job is still there."""
    with machine.begin("analyze", f"{hostile}/hang?3", "--json") as waiting:
        assert waiting.stderr is not None
        assert "queued" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        said = waiting.stderr.read()
    assert waiting.returncode == 130
    (job_id,) = re.findall(r"`vibeinsight watch ([0-9a-f-]{36})`", said)
    with machine.client() as client:
        assert client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status().json()["status"] == "cancelled"
    watched = machine.run("watch", job_id)
    assert (watched.returncode, "was cancelled" in watched.stderr) == (1, True)


def test_without_a_running_one_analyze_brings_its_own(machine: Machine, tmp_path: Path) -> None:
    """In a fresh folder everything is started for one recording, and nothing of it is left running."""
    data_dir = tmp_path / "data"
    alone = replace(machine, environment={**machine.environment, "VIBEINSIGHT_DATA_DIR": str(data_dir)}, process=None)
    done = alone.run("analyze", recordings.write(tmp_path / "silence.wav", recordings.silence(2)), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["job"]["status"] == "completed_with_warnings"
    wait_until(lambda: of_folder(data_dir) == [], 10, "nothing of it runs")


def test_doctor_finds_nothing_broken(machine: Machine) -> None:
    """Every part is used once and works; what is said is JSON."""
    done = machine.run("doctor", "--json")
    checks = json.loads(done.stdout)
    assert [check for check in checks if check["state"] == "broken"] == []
    assert {"servers", "audio decoder", "transcription", "diarization", "api"} <= {check["name"] for check in checks}
    assert done.returncode == 0


def test_a_second_up_on_the_same_folder_is_refused(machine: Machine) -> None:
    """One data folder serves one `up`; the second says so and leaves the first alone."""
    done = machine.run("up", "--port", "0", within_s=60)
    assert done.returncode == 1
    assert "VIBEINSIGHT_DATA_DIR" in done.stderr
    assert _is_ready(machine)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_end_of_up_leaves_nothing_and_a_new_up_knows_the_jobs(machine: Machine, number: signal.Signals) -> None:
    """However it is ended, every process goes; on the same data the jobs and their results are there again."""
    with machine.client() as client:
        before = client.get("/v1/jobs").raise_for_status().json()["jobs"]
    family = [process.pid for process in machine.family()]
    code = machine.down(number)
    wait_until(lambda: all(map(is_gone, family)), DOWN_WITHIN_S, "every process is gone")
    assert code == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    machine.up()
    with machine.client() as client:
        after = client.get("/v1/jobs").raise_for_status().json()["jobs"]
    assert [(job["id"], job["status"]) for job in after] == [(job["id"], job["status"]) for job in before]
