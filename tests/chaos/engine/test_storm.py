"""Everything at once, at random: nothing is lost and nothing is doubled."""

import random
import signal
import time

import psutil
import pytest
import redis

from shared.domain.job import JobStatus
from tests.engine_lab import Lab, expected_effects, wait_for
from tests.engine_processes import Processes, kill_tree, send

pytestmark = pytest.mark.chaos

JOBS_A_ROUND, SHARDS = 2, 3
WORK = {stage: {"sleep_s": 0.4} for stage in ("download", "preprocess", "transcribe", "diarize", "analyze")}
FREEZE_S = 6.0  # longer than the lease: the frozen worker wakes up fenced


class Storm:
    def __init__(self, lab: Lab, processes: Processes, seed: int) -> None:
        self._lab, self._processes = lab, processes
        self._random = random.Random(seed)
        self._workers = [processes.worker() for _ in range(2)]

    def strike(self) -> None:
        """One blow, then a moment for the work to go on."""
        blows = (
            self._kill_child,
            self._kill_worker,
            self._empty_broker,
            self._freeze_worker,
            self._ring_twice,
            self._cut_connections,
        )
        self._random.choice(blows)()
        time.sleep(self._random.uniform(0.2, 1.5))

    def _kill_child(self) -> None:
        children = [child for worker in self._workers for child in worker.children()]
        if children:
            send(self._random.choice(children).pid, signal.SIGKILL)

    def _kill_worker(self) -> None:
        place = self._random.randrange(len(self._workers))
        kill_tree(self._workers[place])
        self._workers[place] = self._processes.worker()

    def _empty_broker(self) -> None:
        url = self._lab.tools.settings.redis_url
        assert url is not None
        with redis.Redis.from_url(url.get_secret_value()) as link:
            link.flushdb()

    def _freeze_worker(self) -> None:
        worker = self._random.choice(self._workers)
        family: list[psutil.Process] = [worker, *worker.children(recursive=True)]
        for member in family:
            send(member.pid, signal.SIGSTOP)
        time.sleep(FREEZE_S)
        for member in family:
            send(member.pid, signal.SIGCONT)

    def _cut_connections(self) -> None:
        """What a restart of the database does to everybody."""
        everybody = "pid <> pg_backend_pid() AND datname = current_database()"
        self._lab.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {everybody}")

    def _ring_twice(self) -> None:
        for _ in range(2):
            self._lab.tools.doorbell.ring(self._lab.queued())


def test_a_storm(lab: Lab, processes: Processes, rounds: int) -> None:
    """Kills, freezes, an emptied broker, cut connections, copies of messages: every job completes, one effect each."""
    processes.steward()
    processes.steward()
    jobs = [lab.job({"shards": SHARDS, "job": number} | WORK).job.id for number in range(JOBS_A_ROUND * rounds)]
    storm = Storm(lab, processes, seed=rounds)
    for _ in range(rounds):
        storm.strike()
    wait_for("every job to end", lambda: all(lab.get(job).status.ended for job in jobs), deadline_s=60 + 10 * rounds)
    assert [lab.get(job).status for job in jobs] == [JobStatus.COMPLETED] * len(jobs)
    for job in jobs:
        assert lab.effects(job) == expected_effects(SHARDS)
