"""What the steward mends, and that two of them do no harm."""

import threading

import pytest

from shared.domain.errors import StorageUnavailable
from shared.domain.job import JobStatus, RunStatus, Stage
from shared.queue.doorbell import QUEUE_DEPTH, CeleryDoorbell
from shared.queue.names import queue_name
from shared.store.backlog import BacklogReader
from tests.engine_lab import Lab, expected_effects
from workers.steward import Steward

pytestmark = pytest.mark.integration


@pytest.fixture
def bell(lab: Lab) -> CeleryDoorbell:
    return CeleryDoorbell(lab.tools.settings)


def test_a_lost_ring_is_rung_again(lab: Lab, bell: CeleryDoorbell) -> None:
    """A run whose creator died before it rang is rung by the steward, and then left in peace."""
    lab.job()
    lab.execute("UPDATE stage_runs SET ring_at = now()")
    keeper = Steward(lab.sweep, bell)
    keeper.look()
    assert bell.waiting(Stage.DOWNLOAD) == 1
    keeper.look()
    assert bell.waiting(Stage.DOWNLOAD) == 1


def test_a_backlog_stays_in_the_ledger(lab: Lab, bell: CeleryDoorbell) -> None:
    """However much is due and however often it is looked at, the queue stays short."""
    for _ in range(QUEUE_DEPTH + 20):
        lab.job()
    keeper = Steward(lab.sweep, bell)
    for _ in range(3):
        lab.execute("UPDATE stage_runs SET ring_at = now()")
        keeper.look()
    assert bell.waiting(Stage.DOWNLOAD) == QUEUE_DEPTH


def test_without_a_broker_runs_stay_due(lab: Lab, free_port: int) -> None:
    """Nobody raises, and what could not be rung is due again at the next look."""
    created = lab.job()
    away = CeleryDoorbell(type(lab.tools.settings)(redis_url=f"redis://127.0.0.1:{free_port}/0"))
    assert away.ring(created.runs) == 0
    with pytest.raises(StorageUnavailable):
        away.ping()
    lab.execute("UPDATE stage_runs SET ring_at = now()")
    Steward(lab.sweep, away).look()
    lab.execute("UPDATE stage_runs SET ring_at = now()")
    assert lab.sweep.due(10) == {Stage.DOWNLOAD: 1}


def test_a_message_is_the_runs_id_alone(lab: Lab, bell: CeleryDoorbell) -> None:
    """Nothing of a recording or of a person travels through the broker."""
    created = lab.job({"secret": "of a person"})
    assert bell.ring(created.runs) == 1
    bell.ping()
    import redis

    assert lab.tools.settings.redis_url is not None
    with redis.Redis.from_url(lab.tools.settings.redis_url.get_secret_value()) as link:
        message = link.lindex(queue_name(Stage.DOWNLOAD), 0)
    assert b"of a person" not in message


def test_poison_is_buried(lab: Lab) -> None:
    """A run that takes its worker with it at every attempt ends the job after the last one."""
    job_id = lab.job().job.id
    for attempt in range(1, 6):
        run_id = lab.queued()[0][1]
        claim = lab.runs.claim(run_id, message_id="m", lease_s=0)
        assert claim is not None
        assert claim.run.attempt == attempt
        lab.sweep.requeue_expired()
    buried, ring = lab.sweep.bury_poison()
    job = lab.get(job_id)
    assert (len(buried), ring) == (1, [])
    assert job.error is not None
    assert (job.status, job.error.code) == (JobStatus.FAILED, "worker_lost")
    assert lab.execute("SELECT status FROM stage_runs")[0][0] == RunStatus.DEAD


def test_poison_in_the_diarization_costs_the_speakers_only(lab: Lab) -> None:
    """Buried like any other, but the job goes on."""
    job_id = lab.job({"shards": 1}).job.id
    for _ in range(2):
        stage, run_id = lab.queued()[0]
        lab.runner.run(run_id, lab.works[stage], "m")
    for stage, run_id in lab.queued():
        if stage is Stage.TRANSCRIBE:
            lab.runner.run(run_id, lab.works[stage], "m")
    for _ in range(3):
        assert lab.runs.claim(lab.queued()[0][1], message_id="m", lease_s=0) is not None
        lab.sweep.requeue_expired()
    _, ring = lab.sweep.bury_poison()
    assert [stage for stage, _ in ring] == [Stage.ANALYZE]
    lab.work_off()
    assert lab.get(job_id).status is JobStatus.COMPLETED_WITH_WARNINGS


def test_a_job_without_a_successor_is_repaired(lab: Lab) -> None:
    """Rows that somebody deleted by hand are made again."""
    job_id = lab.job({"shards": 2}).job.id
    for _ in range(2):
        stage, run_id = lab.queued()[0]
        lab.runner.run(run_id, lab.works[stage], "m")
    lab.execute("DELETE FROM stage_runs WHERE stage IN ('transcribe', 'diarize')")
    assert len(lab.sweep.repair()) == 3
    assert lab.sweep.repair() == []
    lab.work_off()
    assert lab.effects(job_id) == expected_effects(2)


def test_two_stewards_do_everything_once(lab: Lab, bell: CeleryDoorbell) -> None:
    """Expired, poisonous and due runs are each taken by one of them."""
    for _ in range(30):
        lab.job()
    for _, run_id in lab.queued():
        lab.runs.claim(run_id, message_id="m", lease_s=0)
    threads = [threading.Thread(target=Steward(lab.sweep, bell).look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lab.queued()) == 30
    assert bell.waiting(Stage.DOWNLOAD) <= 30
    attempts = lab.execute("SELECT DISTINCT attempt FROM stage_runs")
    assert [attempt for (attempt,) in attempts] == [1]


def test_a_dead_childs_lease_ends_at_once(lab: Lab) -> None:
    """Known by its message; nobody else's run is touched."""
    first, second = lab.job(), lab.job()
    for number, created in enumerate((first, second)):
        assert lab.runs.claim(created.runs[0][1], message_id=f"m{number}", lease_s=60) is not None
    assert lab.runs.release_message("m1") == 1
    assert lab.sweep.requeue_expired() == [(Stage.DOWNLOAD, second.runs[0][1])]


def test_the_backlog_is_counted(lab: Lab) -> None:
    """The figures that an alarm and a scaler go by."""
    lab.job()
    claimed = lab.job()
    lab.runs.claim(claimed.runs[0][1], message_id="m", lease_s=60)
    lab.execute("UPDATE stage_runs SET not_before = now() - interval '90 s', created_at = now() - interval '90 s'")
    backlog = BacklogReader(lab.database)
    counted = {(found.stage, found.status): found.runs for found in backlog.open_runs()}
    assert counted == {(Stage.DOWNLOAD, RunStatus.QUEUED): 1, (Stage.DOWNLOAD, RunStatus.RUNNING): 1}
    assert backlog.oldest_due_s()[Stage.DOWNLOAD] >= 90
    assert Stage.ANALYZE not in backlog.oldest_due_s()
    lab.tools.ledger.pause(Stage.DOWNLOAD, "test", "what is paused is not due")
    assert backlog.oldest_due_s() == {}
