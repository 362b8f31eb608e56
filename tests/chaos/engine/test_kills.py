"""Kill -9 in every stage: the job completes, and each stage and shard has exactly one effect."""

import signal

import pytest

from shared.domain.ids import JobId
from shared.domain.job import JobStatus, Stage
from tests.engine_lab import Lab, expected_effects, wait_for
from tests.engine_processes import Processes, child_of_run, kill_tree, send

pytestmark = pytest.mark.chaos

SHARDS = 2
# The first attempt at each stage would take a minute: it is killed long before. The second is quick.
SLOW_FIRST = {stage.value: {"sleep_s": 60, "times": 1} for stage in Stage} | {"shards": SHARDS}


def at_work(lab: Lab) -> dict[str, Stage]:
    """Runs that are at work for the first time, by their token."""
    rows = lab.execute("SELECT token::text, stage FROM stage_runs WHERE status = 'running' AND attempt = 1")
    return {token: Stage(stage) for token, stage in rows}


def caught(lab: Lab) -> dict[str, tuple[Stage, int]]:
    """Those whose work has begun, with the process that does it."""
    found = {token: (stage, child_of_run(token)) for token, stage in at_work(lab).items()}
    return {token: (stage, pid) for token, (stage, pid) in found.items() if pid is not None}


def completed(lab: Lab, job: JobId) -> None:
    assert (lab.get(job).status, lab.get(job).error) == (JobStatus.COMPLETED, None)
    assert lab.effects(job) == expected_effects(SHARDS)
    assert lab.tools.ledger.result(lab.owner, job)["job"]["status"] == "completed"


def test_a_child_killed_in_every_stage(lab: Lab, processes: Processes) -> None:
    """The kernel takes the process in the middle of each stage and shard; the worker itself lives on."""
    processes.steward()
    worker = processes.worker(concurrency=3)
    job = lab.job(SLOW_FIRST).job.id
    killed: dict[str, Stage] = {}

    def kill_until_it_ends() -> bool:
        for token, (stage, pid) in caught(lab).items():
            if token not in killed:
                send(pid, signal.SIGKILL)
                killed[token] = stage
        return lab.get(job).status.ended

    wait_for("the job to end", kill_until_it_ends, deadline_s=180)
    assert sorted(killed.values()) == sorted(stage for stage, _ in expected_effects(SHARDS))
    completed(lab, job)
    assert worker.is_running()


def test_a_worker_killed_in_every_stage(lab: Lab, processes: Processes) -> None:
    """The whole machine goes, with all that it held; another worker takes the stage up when the lease runs out."""
    processes.steward()
    job = lab.job(SLOW_FIRST).job.id
    killed: set[Stage] = set()
    while killed != set(Stage):
        worker = processes.worker(concurrency=3)
        wait_for("a stage to be at work", lambda: caught(lab))
        kill_tree(worker)
        killed |= set(at_work(lab).values())
    processes.worker(concurrency=3)
    wait_for("the job to end", lambda: lab.get(job).status.ended)
    completed(lab, job)
