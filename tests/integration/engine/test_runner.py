"""One run after the other: what is committed, what is tried again, what ends a job."""

import itertools
import threading

import pytest

from shared.domain.errors import Cancelled, Fenced, NotFound
from shared.domain.job import JobStatus, RunStatus, Stage
from shared.store.preferences import OwnerPreferences
from shared.store.runs import Finished, Hold
from shared.toolbox import Toolbox
from tests.engine_lab import Lab, expected_effects, wait_for
from workers.runner import Runner

pytestmark = pytest.mark.integration


def test_a_job_goes_through_every_stage_once(lab: Lab) -> None:
    """All stages and shards have one effect each; the job is completed and has a result that names it."""
    job_id = lab.job({"shards": 3}).job.id
    lab.work_off()
    job = lab.get(job_id)
    assert (job.status, job.percent, job.error) == (JobStatus.COMPLETED, 100.0, None)
    assert lab.effects(job_id) == expected_effects(3)
    result = lab.tools.ledger.result(lab.owner, job_id)
    assert result["job"]["id"] == job_id
    assert result["job"]["status"] == "completed"


def test_each_stage_reads_what_came_before(lab: Lab) -> None:
    """Documents and files of earlier stages are there, each shard in its place."""
    job_id = lab.job({"shards": 2}).job.id
    lab.work_off()
    left = {(found.stage, found.shard): found for found in lab.tools.ledger.artefacts(lab.owner, job_id)}
    assert left[Stage.TRANSCRIBE, 1].document["read"][-1] == "preprocess 0"
    assert left[Stage.ANALYZE, 0].document["read"] == ["download", "preprocess", "transcribe", "transcribe", "diarize"]
    stored = left[Stage.TRANSCRIBE, 1].files[0]
    assert stored.key.startswith(f"jobs/{job_id}/transcribe/1/")
    assert b"".join(lab.tools.objects.stream(stored.key)) == b"transcribe 1"


def test_progress_rows_count_up_and_never_fall(lab: Lab) -> None:
    """Versions have no gap, percent never falls, the last row says completed at 100."""
    job_id = lab.job({"transcribe": {"sleep_s": 1.2}}).job.id
    lab.work_off()
    rows = lab.tools.ledger.progress_since(lab.owner, job_id, 0)
    assert [row.version for row in rows] == list(range(1, len(rows) + 1))
    assert [row.percent for row in rows] == sorted(row.percent for row in rows)
    assert (rows[0].status, rows[-1].status, rows[-1].percent) == ("queued", "completed", 100.0)
    assert "transcribing" in {row.status for row in rows}
    assert lab.tools.ledger.progress_since(lab.owner, job_id, rows[-2].version) == rows[-1:]


def test_at_most_one_progress_row_a_second(lab: Lab) -> None:
    """Between the first and the last row, rows are a second apart."""
    job_id = lab.job({"shards": 3, "transcribe": {"sleep_s": 0.7}}).job.id
    lab.work_off()
    times = [row.updated_at for row in lab.tools.ledger.progress_since(lab.owner, job_id, 0)][:-1]
    gaps_s = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]
    assert gaps_s
    assert min(gaps_s) >= 0.999


def test_what_may_help_is_tried_again(lab: Lab) -> None:
    """A provider that fails twice costs two attempts, and the job completes."""
    job_id = lab.job({"analyze": {"fail": "provider_unavailable", "times": 2}}).job.id
    lab.work_off()
    job = lab.get(job_id)
    assert (job.status, job.attempts) == (JobStatus.COMPLETED, 3)
    assert lab.effects(job_id) == expected_effects(2)


def test_another_attempt_waits(lab: Lab) -> None:
    """With the real patience a failed run is queued again, but not due yet."""
    patient = Toolbox(lab.tools.settings.model_copy(update={"retry_base_s": 60.0}))
    created = lab.job({"download": {"fail": "provider_unavailable"}})
    Runner(patient).run(created.runs[0][1], lab.works[Stage.DOWNLOAD], "m")
    patient.close()
    assert lab.queued() == []
    rows = lab.execute("SELECT status, attempt, not_before > now() + interval '20 s', error->>'code' FROM stage_runs")
    assert [tuple(row) for row in rows] == [("queued", 1, True, "provider_unavailable")]


def test_a_provider_that_names_a_time_is_given_it(lab: Lab) -> None:
    """The next attempt does not come before the provider asked for it."""
    lab.job({"download": {"fail": "provider_unavailable", "retry_after_s": 120}})
    assert lab.work_off() == 1
    assert lab.execute("SELECT not_before > now() + interval '100 s' FROM stage_runs")[0][0]


def test_what_cannot_help_fails_at_once(lab: Lab) -> None:
    """A recording that is no recording fails the job with its code and the stage, after one attempt."""
    job_id = lab.job({"preprocess": {"fail": "not_audio"}}).job.id
    lab.work_off()
    job = lab.get(job_id)
    assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
    assert job.error is not None
    assert (job.error.code, job.error.stage) == ("not_audio", Stage.PREPROCESS)
    assert lab.tools.ledger.progress_since(lab.owner, job_id, 0)[-1].status == "error"


def test_a_mistake_of_ours_is_tried_and_then_buried(lab: Lab) -> None:
    """An unexpected exception uses up the attempts and ends as internal_error, without its text."""
    job_id = lab.job({"preprocess": {"fail": "bug"}}).job.id
    lab.work_off()
    job = lab.get(job_id)
    assert job.error is not None
    assert (job.status, job.attempts, job.error.code) == (JobStatus.FAILED, 3, "internal_error")
    assert "mistake" not in job.error.message
    assert lab.execute("SELECT status FROM stage_runs WHERE stage = 'preprocess'")[0][0] == RunStatus.DEAD


def test_one_failed_shard_stops_the_others(lab: Lab) -> None:
    """When a job has failed nobody goes on working for it."""
    job_id = lab.job({"shards": 3, "transcribe": {"fail": "provider_rejected"}}).job.id
    lab.work_off()
    statuses = {row[0] for row in lab.execute("SELECT status FROM stage_runs WHERE stage IN ('transcribe', 'diarize')")}
    assert lab.get(job_id).status is JobStatus.FAILED
    assert statuses == {"failed", "cancelled"}


def test_without_speakers_the_job_goes_on(lab: Lab) -> None:
    """A failed diarization ends in a warning, not in the loss of the transcript."""
    job_id = lab.job({"diarize": {"fail": "provider_rejected"}}).job.id
    lab.work_off()
    job = lab.get(job_id)
    assert job.status is JobStatus.COMPLETED_WITH_WARNINGS
    assert [warning.code for warning in job.warnings] == ["diarization_failed"]
    assert lab.tools.ledger.result(lab.owner, job_id)["job"]["warnings"][0]["code"] == "diarization_failed"


def test_silence_completes_with_a_warning(lab: Lab) -> None:
    """Without speech nothing is transcribed or diarized."""
    job_id = lab.job({"shards": 0}).job.id
    lab.work_off()
    job = lab.get(job_id)
    assert [warning.code for warning in job.warnings] == ["no_speech"]
    assert lab.effects(job_id) == sorted((stage, 0) for stage in ("download", "preprocess", "analyze", "synthesize"))


def test_a_stages_warning_reaches_the_job(lab: Lab) -> None:
    """What a stage wants to be known is known of the job, and once."""
    job_id = lab.job({"shards": 2, "transcribe": {"warn": "short"}}).job.id
    lab.work_off()
    assert [warning.code for warning in lab.get(job_id).warnings] == ["short"]


def test_equal_work_comes_from_the_cache(lab: Lab) -> None:
    """A second job on the same recording does nothing again but the download, and owns copies of the files."""
    first = lab.job({"shards": 2}).job.id
    lab.work_off()
    second = lab.job({"shards": 2}).job.id
    lab.work_off()
    worked = lab.execute(f"SELECT stage FROM stage_runs WHERE job_id = '{second}' AND work_s IS NOT NULL")
    assert [stage for (stage,) in worked] == ["download"]
    for prefix in lab.tools.ledger.delete_job(lab.owner, first):
        lab.tools.objects.delete_prefix(prefix)
    files = [file for found in lab.tools.ledger.artefacts(lab.owner, second) for file in found.files]
    assert len(files) == 7
    assert all(b"".join(lab.tools.objects.stream(file.key)) for file in files)


def test_a_job_says_whose_result_it_was_given(lab: Lab) -> None:
    """Answered from what was done, it names that job, until it is done again or that job is deleted."""
    first = lab.job({"shards": 1}).job.id
    lab.work_off()
    second = lab.job({"shards": 1}).job.id
    lab.work_off()
    assert (lab.get(first).deduped_from, lab.get(second).deduped_from) == (None, first)
    lab.tools.ledger.delete_job(lab.owner, first)
    assert lab.get(second).deduped_from is None


def test_an_owner_who_wants_no_dedupe_has_everything_done_again(lab: Lab) -> None:
    """The choice is looked at by every stage."""
    lab.job({"shards": 1})
    lab.work_off()
    lab.tools.ledger.prefer(lab.owner, OwnerPreferences(dedupe=False))
    second = lab.job({"shards": 1}).job.id
    lab.work_off()
    worked = lab.execute(f"SELECT count(*) FROM stage_runs WHERE job_id = '{second}' AND work_s IS NOT NULL")
    assert worked == [(len(expected_effects(1)),)]
    assert lab.get(second).deduped_from is None


def test_another_parameter_misses_the_cache(lab: Lab) -> None:
    """Only what depends on the change is done again."""
    lab.job({"shards": 2})
    lab.work_off()
    second = lab.job({"shards": 2, "diarize": {"warn": "x"}}).job.id
    lab.work_off()
    worked = lab.execute(f"SELECT stage FROM stage_runs WHERE job_id = '{second}' AND work_s IS NOT NULL ORDER BY 1")
    assert [stage for (stage,) in worked] == ["analyze", "diarize", "download", "synthesize"]


def test_nobody_gets_anothers_cache(lab: Lab) -> None:
    """The cache is an owner's own."""
    lab.job({"shards": 1})
    lab.work_off()
    lab.owner = lab.tools.ledger.create_owner("somebody else")
    second = lab.job({"shards": 1}).job.id
    lab.work_off()
    worked = lab.execute(f"SELECT count(*) FROM stage_runs WHERE job_id = '{second}' AND work_s IS NOT NULL")
    assert worked[0][0] == len(expected_effects(1))


def test_a_cache_whose_objects_are_gone_is_a_miss(lab: Lab) -> None:
    """A job that is being deleted takes nobody with it."""
    first = lab.job({"shards": 1}).job.id
    lab.work_off()
    lab.tools.objects.delete_prefix(f"jobs/{first}/")
    second = lab.job({"shards": 1}).job.id
    lab.work_off()
    assert lab.get(second).status is JobStatus.COMPLETED


def test_a_cancel_is_seen_within_the_work(lab: Lab) -> None:
    """The work is left at the next heartbeat, and leaves no effect."""
    created = lab.job({"download": {"sleep_s": 30}})
    work = threading.Thread(target=lab.runner.run, args=(created.runs[0][1], lab.works[Stage.DOWNLOAD], "m"))
    work.start()
    wait_for("the download to run", lambda: lab.get(created.job.id).status is JobStatus.RUNNING)
    lab.tools.ledger.cancel(lab.owner, created.job.id)
    work.join(10)
    assert not work.is_alive()
    job = lab.get(created.job.id)
    assert (job.status, lab.effects(job.id)) == (JobStatus.CANCELLED, [])
    assert lab.tools.ledger.progress_since(lab.owner, job.id, 0)[-1].status == "cancelled"


def test_a_deleted_job_is_left(lab: Lab) -> None:
    """Deleting a job that runs ends the work on it."""
    created = lab.job({"download": {"sleep_s": 30}})
    work = threading.Thread(target=lab.runner.run, args=(created.runs[0][1], lab.works[Stage.DOWNLOAD], "m"))
    work.start()
    wait_for("the download to run", lambda: lab.get(created.job.id).status is JobStatus.RUNNING)
    lab.tools.ledger.delete_job(lab.owner, created.job.id)
    work.join(10)
    assert not work.is_alive()
    with pytest.raises(NotFound):
        lab.get(created.job.id)


def test_only_one_of_many_claims_wins(lab: Lab) -> None:
    """Copies of a message that arrive together start the work once."""
    run_id = lab.job().runs[0][1]
    won: list[object] = []
    threads = [
        threading.Thread(target=lambda n=n: won.append(lab.runs.claim(run_id, message_id=f"m{n}", lease_s=20)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([claim for claim in won if claim is not None]) == 1


def test_who_lost_a_run_changes_nothing(lab: Lab) -> None:
    """A frozen worker that wakes after another took over is refused at every step."""
    run_id = lab.job().runs[0][1]
    frozen = lab.runs.claim(run_id, message_id="m1", lease_s=0)
    assert frozen is not None
    assert lab.sweep.requeue_expired() == [(Stage.DOWNLOAD, run_id)]
    other = lab.runs.claim(run_id, message_id="m2", lease_s=20)
    assert other is not None
    assert lab.runs.beat(frozen, 20) is Hold.LOST
    with pytest.raises(Fenced):
        lab.runs.finish(frozen, Finished("key", {}))
    assert lab.runs.beat(other, 20) is Hold.HELD
    lab.runs.finish(other, Finished("key", {}))
    assert lab.effects(other.job.id) == [("download", 0)]


def test_a_commit_may_be_repeated(lab: Lab) -> None:
    """When the answer to a commit was lost, the same commit again has no second effect."""
    claim = lab.runs.claim(lab.job().runs[0][1], message_id="m", lease_s=20)
    assert claim is not None
    assert lab.runs.finish(claim, Finished("key", {})) != []
    assert lab.runs.finish(claim, Finished("key", {})) == []
    assert lab.effects(claim.job.id) == [("download", 0)]


def test_a_cancelled_run_cannot_be_finished(lab: Lab) -> None:
    """The work of a cancelled job does not count, even when nobody noticed in time."""
    claim = lab.runs.claim(lab.job().runs[0][1], message_id="m", lease_s=20)
    assert claim is not None
    lab.tools.ledger.cancel(lab.owner, claim.job.id)
    with pytest.raises(Cancelled):
        lab.runs.finish(claim, Finished("key", {}))
    assert lab.runs.beat(claim, 20) is Hold.CANCELLED


def test_two_last_shards_start_the_analysis_once(lab: Lab) -> None:
    """Shards that finish at the same moment start what follows exactly once."""
    lab.job({"shards": 6})
    for _ in range(2):
        for stage, run_id in lab.queued():
            lab.runner.run(run_id, lab.works[stage], "m")
    threads = [
        threading.Thread(target=lab.runner.run, args=(run, lab.works[stage], "m")) for stage, run in lab.queued()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [stage for stage, _ in lab.queued()] == [Stage.ANALYZE]


def test_costs_are_learned(lab: Lab) -> None:
    """After three jobs the estimate uses what this installation has measured."""
    for number in range(4):
        lab.job({"shards": 1, "download": {"warn": str(number)}, "preprocess": {"warn": str(number)}})
        lab.work_off()
    created = lab.job()
    claim = lab.runs.claim(created.runs[0][1], message_id="m", lease_s=20)
    assert claim is not None
    assert 0 < claim.costs[Stage.DOWNLOAD] < 1
    assert 0 < claim.costs[Stage.PREPROCESS] < 1
