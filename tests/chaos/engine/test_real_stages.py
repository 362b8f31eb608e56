"""The real stages on a real recording, killed in the middle of their own work."""

import signal
import time

import pytest

from shared.domain.ids import JobId
from shared.domain.job import JobOptions, JobStatus, Source, SourceKind, Stage
from tests import speech_fixtures
from tests.engine_lab import Lab, wait_for
from tests.engine_processes import Processes, child_of_run, kill_tree, send

pytestmark = pytest.mark.chaos

LONG = 10  # rounds from which on there is time for models
LOOK_S = 0.005  # some stages are over in a quarter of a second


@pytest.fixture
def job(lab: Lab, rounds: int) -> JobId:
    if rounds < LONG:
        pytest.skip(f"loads real models; `make chaos` or VIBEINSIGHT_CHAOS_ROUNDS={LONG} runs it")
    conversation = speech_fixtures.dialogue("en")[0]
    ledger, owner = lab.tools.ledger, lab.owner
    upload = ledger.create_upload(
        owner, filename=conversation.name, content_type="audio/wav", bytes=conversation.stat().st_size
    )
    lab.tools.objects.put(upload.key, conversation, "audio/wav")
    ledger.complete_upload(owner, upload.id)
    source = Source(SourceKind.UPLOAD, upload.id, conversation.name)
    return ledger.create_job(owner, source=source, options=JobOptions(language="en")).job.id


def kill_in(lab: Lab, stage: Stage) -> bool:
    """Kill the process that works on `stage` in its first attempt; False when it was too quick for us."""
    query = f"SELECT token::text, status, attempt FROM stage_runs WHERE stage = '{stage}' ORDER BY shard"
    until = time.monotonic() + 90
    while time.monotonic() < until:
        rows = lab.execute(query)
        if rows and (rows[0][1] == "done" or rows[0][2] > 1):
            return False
        pid = child_of_run(rows[0][0]) if rows and rows[0][1] == "running" else None
        if pid is not None:
            send(pid, signal.SIGKILL)
            return True
        time.sleep(LOOK_S)
    raise AssertionError(f"{stage} did not begin within 90 s")


def the_whole_result(lab: Lab, job: JobId) -> None:
    """One effect each, and a result that is as good as an undisturbed one."""
    assert lab.get(job).status.succeeded, lab.get(job).error
    result = lab.tools.ledger.result(lab.owner, job)
    shards = len([found for found in lab.tools.ledger.artefacts(lab.owner, job) if found.stage is Stage.TRANSCRIBE])
    assert len(result["speakers"]) == 2
    assert len(result["transcript"]["text"].split()) > 50
    assert len(set(lab.effects(job))) == 5 + shards


def test_a_child_killed_in_every_real_stage(lab: Lab, processes: Processes, job: JobId) -> None:
    """Each stage is killed in its own work, those that are too quick when they are done again."""
    processes.steward()
    processes.worker(lab=False, concurrency=3)
    missed = [stage for stage in Stage if not kill_in(lab, stage)]
    wait_for("the job to end", lambda: lab.get(job).status.ended, deadline_s=120)
    the_whole_result(lab, job)
    for stage in missed * 3:
        lab.tools.ledger.retry(lab.owner, job, stage)
        killed = kill_in(lab, stage)
        wait_for("the job to end again", lambda: lab.get(job).status.ended, deadline_s=120)
        the_whole_result(lab, job)
        if killed:
            missed.remove(stage)
        if not missed:
            break
    assert missed == []


def test_a_cancel_in_every_real_stage(lab: Lab, processes: Processes, job: JobId) -> None:
    """Wherever it is, the work stops; taken up again, the job completes."""
    processes.steward()
    processes.worker(lab=False, concurrency=3)
    for stage in (Stage.PREPROCESS, Stage.TRANSCRIBE, Stage.DIARIZE):
        at_work = f"SELECT 1 FROM stage_runs WHERE stage = '{stage}' AND status = 'running'"
        wait_for(f"{stage} to be at work", lambda at_work=at_work: lab.execute(at_work))
        lab.tools.ledger.cancel(lab.owner, job)
        assert lab.get(job).status is JobStatus.CANCELLED
        tokens = [token for (token,) in lab.execute("SELECT token::text FROM stage_runs WHERE token IS NOT NULL")]
        wait_for("the work to stop", lambda tokens=tokens: not any(map(child_of_run, tokens)), deadline_s=30)
        lab.tools.ledger.retry(lab.owner, job)
    wait_for("the job to end", lambda: lab.get(job).status.ended, deadline_s=120)
    the_whole_result(lab, job)


def test_a_worker_killed_in_the_transcription(lab: Lab, processes: Processes, job: JobId) -> None:
    """A machine that goes in the longest stage costs its lease and that stage, no more."""
    processes.steward()
    worker = processes.worker(lab=False, concurrency=3)
    at_work = "SELECT token::text FROM stage_runs WHERE stage = 'transcribe' AND status = 'running'"
    wait_for("the transcription", lambda: any(child_of_run(token) for (token,) in lab.execute(at_work)))
    kill_tree(worker)
    processes.worker(lab=False, concurrency=3)
    wait_for("the job to end", lambda: lab.get(job).status.ended, deadline_s=120)
    the_whole_result(lab, job)
    again = lab.execute("SELECT stage FROM stage_runs WHERE attempt > 1")
    assert {stage for (stage,) in again} <= {"transcribe", "diarize"}
