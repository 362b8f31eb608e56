"""Through real processes: Celery brings run ids to children, and loses or doubles nothing that matters."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from shared.domain.ids import JobId
from shared.domain.job import JobStatus, Stage
from shared.settings import Settings
from tests.engine_lab import Lab, expected_effects, wait_for
from tests.engine_processes import Processes

pytestmark = pytest.mark.integration


@pytest.fixture
def processes(quick: Settings, tmp_path: Path) -> Iterator[Processes]:
    started = Processes(quick, tmp_path)
    yield started
    started.stop()


def ended(lab: Lab, *jobs: JobId) -> bool:
    return all(lab.get(job).status.ended for job in jobs)


def test_jobs_go_through_a_worker(lab: Lab, processes: Processes) -> None:
    """Rung by hand, several jobs complete; copies of messages are dropped and leave no second effect."""
    processes.steward()
    processes.worker()
    made = [lab.job({"shards": shards}) for shards in (0, 1, 3)]
    for created in made:
        for _ in range(5):
            assert lab.tools.doorbell.ring(created.runs) == 1
    jobs = [created.job.id for created in made]
    wait_for("three jobs", lambda: ended(lab, *jobs))
    assert [lab.get(job).status for job in jobs[1:]] == [JobStatus.COMPLETED] * 2
    assert [len(lab.effects(job)) for job in jobs] == [4, len(expected_effects(1)), len(expected_effects(3))]
    assert lab.effects(jobs[2]) == expected_effects(3)
    assert "run.not_due" in processes.log()


def test_a_job_that_nobody_rang_is_found(lab: Lab, processes: Processes) -> None:
    """Without a single message from its creator a job completes, and the log says so, one JSON object a line."""
    processes.steward()
    processes.worker()
    job = lab.job({"shards": 1}).job.id
    wait_for("the job", lambda: ended(lab, job))
    assert lab.get(job).status is JobStatus.COMPLETED
    lines = [json.loads(line) for line in processes.log().splitlines() if line.startswith("{")]
    done = {line["stage"] for line in lines if line["event"] == "run.done" and line["job_id"] == job}
    assert done == set(Stage)


def test_a_stage_that_is_too_slow_is_given_back(quick: Settings, lab: Lab, tmp_path: Path) -> None:
    """The soft limit ends the attempt with stage_timeout; the next attempt may do better."""
    # Long enough for a new process to load what it needs on a busy machine: each limit costs a process.
    processes = Processes(quick.model_copy(update={"soft_limit_s": 10, "hard_limit_s": 60}), tmp_path)
    try:
        processes.steward()
        processes.worker()
        slow = lab.job({"shards": 1, "preprocess": {"sleep_s": 40, "times": 1}}).job.id
        wait_for("the job", lambda: ended(lab, slow), deadline_s=120)
        assert (lab.get(slow).status, lab.get(slow).attempts) == (JobStatus.COMPLETED, 2)
        assert "run.timed_out" in processes.log()
    finally:
        processes.stop()


def test_poison_does_not_loop(lab: Lab, processes: Processes) -> None:
    """A run that kills its child every time is buried after the attempts it has; the worker lives on."""
    processes.steward()
    processes.worker()
    poison = lab.job({"preprocess": {"die": True}}).job.id
    wait_for("the poison to be buried", lambda: ended(lab, poison), deadline_s=90)
    job = lab.get(poison)
    assert job.error is not None
    assert (job.status, job.attempts, job.error.code) == (JobStatus.FAILED, 3, "worker_lost")
    well = lab.job({"shards": 1}).job.id
    wait_for("a job after it", lambda: ended(lab, well))
    assert lab.get(well).status is JobStatus.COMPLETED


def test_health_is_served(quick: Settings, lab: Lab, tmp_path: Path, free_port: int) -> None:
    """A steward says that it is well, and how much waits; a worker that it is well."""
    lab.job()
    processes = Processes(quick.model_copy(update={"metrics_port": free_port}), tmp_path)
    address = f"http://127.0.0.1:{free_port}"

    def answer(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(address + path, timeout=5) as reply:
                return reply.status, reply.read().decode()
        except (urllib.error.URLError, ConnectionError) as error:
            return getattr(error, "code", 0), ""

    def serves(starter: psutil.Popen) -> bool:
        assert starter.is_running()
        return answer("/livez")[0] == 200

    try:
        steward = processes.steward()
        wait_for("the steward's health", lambda: serves(steward))
        assert 'vibeinsight_runs{stage="download",status="queued"} 1.0' in answer("/metrics")[1]
        assert answer("/nothing")[0] == 404
        processes.stop()
        worker = processes.worker(Stage.ANALYZE)
        wait_for("the worker's health", lambda: serves(worker))
        assert "process_resident_memory_bytes" in answer("/metrics")[1]
    finally:
        processes.stop()
