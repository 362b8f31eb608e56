"""A cancel, with real workers: in every stage, in work that cannot be told, and what is left of it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from shared.domain.errors import NotFound
from shared.domain.ids import JobId
from shared.domain.job import JobStatus, Stage
from shared.settings import Settings
from tests.engine_lab import Lab, expected_effects, wait_for
from tests.engine_processes import Processes, child_of_run
from workers.workdir import lives

pytestmark = pytest.mark.integration

LONG_S = 120.0  # longer than any deadline here: only the cancel can have ended it


@pytest.fixture
def processes(settings: Settings, tmp_path: Path) -> Iterator[Processes]:
    """With the beat and the lease that are used in production."""
    started = Processes(settings, tmp_path)
    yield started
    started.stop()


def working(lab: Lab, job: JobId, *stages: Stage) -> list[int]:
    """The processes at work on these stages of a job."""
    listed = ", ".join(f"'{stage}'" for stage in stages)
    tokens = lab.execute(
        f"SELECT token::text FROM stage_runs WHERE job_id = '{job}' AND stage IN ({listed}) AND token IS NOT NULL"
    )
    return [pid for (token,) in tokens if (pid := child_of_run(token)) is not None]


def test_a_cancel_in_each_stage(lab: Lab, processes: Processes) -> None:
    """The work stops wherever it is, leaves no effect, and can be taken up again; each stage counts once in the end."""
    processes.steward()
    processes.worker(concurrency=2)
    script = {stage.value: {"sleep_s": LONG_S} for stage in Stage} | {"shards": 1}
    job = lab.job(script).job.id
    stopped_after_s: dict[str, float] = {}
    for stage in Stage:
        wait_for(f"{stage} to be at work", lambda stage=stage: working(lab, job, stage), deadline_s=90)
        began = time.monotonic()
        lab.tools.ledger.cancel(lab.owner, job)
        wait_for("the work to stop", lambda: not working(lab, job, *Stage), deadline_s=60)
        stopped_after_s[stage.value] = round(time.monotonic() - began, 1)
        assert (stage.value, 0) not in lab.effects(job)
        del script[stage.value]
        lab.execute(f"UPDATE jobs SET session_id = '{json.dumps(script)}'")
        lab.tools.ledger.retry(lab.owner, job)
    wait_for("the job to end", lambda: lab.get(job).status.ended, deadline_s=90)
    print(f"stopped after: {stopped_after_s}")
    assert lab.get(job).status is JobStatus.COMPLETED
    assert lab.effects(job) == expected_effects(1)


def test_work_that_hears_nothing_ends_with_its_process(lab: Lab, processes: Processes) -> None:
    """So does what it had started; nothing is left of it, and the worker goes on with the next job."""
    processes.steward()
    worker = processes.worker(concurrency=1)
    deaf = lab.job({"download": {"deaf_s": LONG_S}}).job.id
    wait_for("the work", lambda: working(lab, deaf, Stage.DOWNLOAD), deadline_s=90)
    child = psutil.Process(working(lab, deaf, Stage.DOWNLOAD)[0])
    wait_for("its own process", lambda: child.children(recursive=True))
    family = [child, *child.children(recursive=True)]
    began = time.monotonic()
    lab.tools.ledger.cancel(lab.owner, deaf)
    wait_for("all of them to end", lambda: not any(lives(member.pid) for member in family), deadline_s=60)
    print(f"ended after {time.monotonic() - began:.1f} s")
    well = lab.job({"shards": 1}).job.id
    wait_for("the next job", lambda: lab.get(well).status.ended, deadline_s=90)
    assert (lab.get(well).status, worker.is_running()) == (JobStatus.COMPLETED, True)
    assert lab.effects(deaf) == []
    assert working(lab, deaf, *Stage) == []


def test_objects_that_no_row_names_go_with_the_cancel(lab: Lab, tmp_path: Path) -> None:
    """What a run had put away is deleted, unless the job was taken up again meanwhile; of a deleted job everything."""
    created = lab.job()
    claim = lab.runs.claim(created.runs[0][1], message_id="m", lease_s=60)
    assert claim is not None
    note = tmp_path / "note.txt"
    note.write_text("x")
    key = f"jobs/{created.job.id}/download/0/abc/note.txt"
    lab.tools.objects.put(key, note, "text/plain")
    lab.runs.clear(claim, lab.tools.objects.delete_prefix)
    assert lab.tools.objects.head(key).bytes == 1
    lab.tools.ledger.cancel(lab.owner, created.job.id)
    lab.runs.clear(claim, lab.tools.objects.delete_prefix)
    with pytest.raises(NotFound):
        lab.tools.objects.head(key)
    lab.tools.objects.put(key, note, "text/plain")
    lab.tools.ledger.delete_job(lab.owner, created.job.id)
    lab.runs.clear(claim, lab.tools.objects.delete_prefix)
    with pytest.raises(NotFound):
        lab.tools.objects.head(key)
