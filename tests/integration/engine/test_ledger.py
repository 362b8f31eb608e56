"""What an owner may ask of the ledger and change in it."""

import asyncio
import contextlib
import threading

import pytest

from shared.domain.errors import Conflict, InvalidInput, NotFound, StorageUnavailable, Unauthorized
from shared.domain.ids import JobId, OwnerId, UploadId
from shared.domain.job import JobOptions, JobStatus, Source, SourceKind, Stage
from shared.store.ledger import Ledger
from shared.store.listen import ProgressBell
from tests.engine_lab import Lab, expected_effects

pytestmark = pytest.mark.integration

SOURCE = Source(SourceKind.URL, "https://lab.invalid/x", "x.wav")


def test_a_job_is_what_was_asked_for(lab: Lab) -> None:
    """Source, options and session come back as they were given; the first run is there to be rung."""
    options = JobOptions(language="ja", speakers=None, roles=("coach", "client"))
    created = lab.tools.ledger.create_job(
        lab.owner, source=SOURCE, options=options, session_id="s-1", webhook="https://h"
    )
    assert created.job == lab.get(created.job.id)
    assert (created.job.source, created.job.options, created.job.session_id) == (SOURCE, options, "s-1")
    assert (created.job.status, created.job.attempts, created.fresh) == (JobStatus.QUEUED, 0, True)
    assert [stage for stage, _ in created.runs] == [Stage.DOWNLOAD]
    assert lab.tools.ledger.progress_since(lab.owner, created.job.id, 0)[0].message == "順番を待っています"


def test_a_job_without_a_session_is_its_own(lab: Lab) -> None:
    """Clients that follow a session id can follow the job's."""
    job = lab.tools.ledger.create_job(lab.owner, source=SOURCE, options=JobOptions()).job
    assert job.session_id == job.id


def test_the_same_key_gives_the_same_job(lab: Lab) -> None:
    """A request that is sent again starts nothing again; the key with another body is refused."""
    first = lab.job({}, idempotency_key="k", body_hash="a")
    again = lab.job({}, idempotency_key="k", body_hash="a")
    assert (again.job.id, again.fresh, again.runs) == (first.job.id, False, [])
    with pytest.raises(Conflict):
        lab.job({}, idempotency_key="k", body_hash="b")
    lab.owner = lab.tools.ledger.create_owner("somebody else")
    assert lab.job({}, idempotency_key="k", body_hash="b").fresh


def test_requests_with_one_key_that_arrive_together(lab: Lab) -> None:
    """Exactly one of them creates the job."""
    found: list[tuple[str, bool]] = []

    def ask() -> None:
        created = lab.job({}, idempotency_key="k", body_hash="a")
        found.append((created.job.id, created.fresh))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job_id for job_id, _ in found}) == 1
    assert sorted(fresh for _, fresh in found) == [False] * 5 + [True]


def test_nobody_sees_anothers_job(lab: Lab) -> None:
    """For everybody but its owner a job does not exist."""
    job_id = lab.job().job.id
    ledger, other = lab.tools.ledger, lab.tools.ledger.create_owner("somebody else")
    for ask in (ledger.get_job, ledger.result, ledger.artefacts, ledger.cancel, ledger.retry, ledger.delete_job):
        with pytest.raises(NotFound):
            ask(other, job_id)
    assert ledger.progress_since(other, job_id, 0) == []
    assert ledger.list_jobs(other).jobs == []
    with pytest.raises(NotFound):
        ledger.get_job(lab.owner, JobId("not-a-uuid"))


def test_pages_hold_every_job_once(lab: Lab) -> None:
    """Newest first, without gaps or repetitions; a filter and a bad cursor are honoured."""
    made = [lab.job().job.id for _ in range(5)]
    lab.tools.ledger.cancel(lab.owner, made[0])
    first = lab.tools.ledger.list_jobs(lab.owner, limit=2)
    second = lab.tools.ledger.list_jobs(lab.owner, limit=2, cursor=first.next_cursor)
    third = lab.tools.ledger.list_jobs(lab.owner, limit=2, cursor=second.next_cursor)
    assert [job.id for page in (first, second, third) for job in page.jobs] == made[::-1]
    assert third.next_cursor is None
    cancelled = lab.tools.ledger.list_jobs(lab.owner, status=JobStatus.CANCELLED)
    assert [job.id for job in cancelled.jobs] == [made[0]]
    for bad in ("?", "bm90anNvbg==", "WzEsMl0="):
        with pytest.raises(InvalidInput):
            lab.tools.ledger.list_jobs(lab.owner, cursor=bad)


def test_a_result_that_is_not_there_says_why(lab: Lab) -> None:
    """Not ready, failed with the job's own error, or cancelled."""
    failed, running, cancelled = lab.job({"download": {"fail": "not_audio"}}).job.id, lab.job().job.id, lab.job().job.id
    lab.tools.ledger.cancel(lab.owner, cancelled)
    lab.runner.run(lab.queued()[0][1], lab.works[Stage.DOWNLOAD], "m")
    codes = {}
    for job_id in (running, failed, cancelled):
        with pytest.raises(Conflict) as refused:
            lab.tools.ledger.result(lab.owner, job_id)
        codes[job_id] = refused.value.code
    assert codes == {running: "result_not_ready", failed: "not_audio", cancelled: "job_cancelled"}


def test_cancel_ends_what_has_not_ended(lab: Lab) -> None:
    """At once, twice without harm, and never a job that is complete."""
    job_id = lab.job().job.id
    assert lab.tools.ledger.cancel(lab.owner, job_id).status is JobStatus.CANCELLED
    assert lab.tools.ledger.cancel(lab.owner, job_id).status is JobStatus.CANCELLED
    assert lab.queued() == []
    done = lab.job().job.id
    lab.work_off()
    with pytest.raises(Conflict):
        lab.tools.ledger.cancel(lab.owner, done)


def test_retry_keeps_what_is_done(lab: Lab) -> None:
    """A failed job goes on where it failed: done shards are not done again."""
    script = {"shards": 2, "analyze": {"fail": "provider_rejected", "times": 1}}
    job_id = lab.job(script).job.id
    lab.work_off()
    assert lab.get(job_id).status is JobStatus.FAILED
    lab.execute("UPDATE jobs SET session_id = '{\"shards\": 2}'")
    again = lab.tools.ledger.retry(lab.owner, job_id)
    assert [stage for stage, _ in again.runs] == [Stage.ANALYZE]
    assert (again.job.status, again.job.error, again.job.finished_at) == (JobStatus.QUEUED, None, None)
    lab.work_off()
    assert lab.get(job_id).status is JobStatus.COMPLETED
    assert lab.effects(job_id) == expected_effects(2)


def test_retry_from_a_stage_does_it_again(lab: Lab) -> None:
    """From diarize on everything that is made from it is made anew, and nothing else."""
    job_id = lab.job({"shards": 2}).job.id
    lab.work_off()
    again = lab.tools.ledger.retry(lab.owner, job_id, Stage.DIARIZE)
    assert [stage for stage, _ in again.runs] == [Stage.DIARIZE]
    with pytest.raises(Conflict):
        lab.tools.ledger.result(lab.owner, job_id)
    lab.work_off()
    twice = [("analyze", 0), ("diarize", 0), ("synthesize", 0)]
    assert lab.effects(job_id) == sorted(expected_effects(2) + twice)
    assert lab.tools.ledger.result(lab.owner, job_id)["job"]["status"] == "completed"


def test_retry_of_a_warning_mends_it(lab: Lab) -> None:
    """A diarization that failed can be tried again later; the warning goes when it works."""
    job_id = lab.job({"shards": 1, "diarize": {"fail": "provider_rejected"}}).job.id
    lab.work_off()
    lab.execute("UPDATE jobs SET session_id = '{\"shards\": 1}'")
    lab.tools.ledger.retry(lab.owner, job_id)
    lab.work_off()
    job = lab.get(job_id)
    assert (job.status, job.warnings) == (JobStatus.COMPLETED, ())


def test_retry_needs_a_job_that_has_ended(lab: Lab) -> None:
    """A running job is cancelled first; a complete one needs to be told from where."""
    job_id = lab.job({"shards": 1}).job.id
    with pytest.raises(Conflict):
        lab.tools.ledger.retry(lab.owner, job_id)
    lab.work_off()
    with pytest.raises(Conflict):
        lab.tools.ledger.retry(lab.owner, job_id)
    assert lab.get(job_id).status is JobStatus.COMPLETED


def test_a_cancelled_job_can_be_taken_up_again(lab: Lab) -> None:
    """Cancelled between two stages, it goes on with the next one."""
    job_id = lab.job({"shards": 1}).job.id
    lab.runner.run(lab.queued()[0][1], lab.works[Stage.DOWNLOAD], "m")
    lab.tools.ledger.cancel(lab.owner, job_id)
    assert [stage for stage, _ in lab.tools.ledger.retry(lab.owner, job_id).runs] == [Stage.PREPROCESS]
    lab.work_off()
    assert lab.effects(job_id) == expected_effects(1)


def test_deleting_names_what_else_must_go(lab: Lab) -> None:
    """The last job of an upload takes the upload with it."""
    ledger = lab.tools.ledger
    upload = ledger.create_upload(lab.owner, filename="a.wav", content_type="audio/wav", bytes=3)
    ledger.complete_upload(lab.owner, upload.id)
    source = Source(SourceKind.UPLOAD, upload.id)
    first, second = (ledger.create_job(lab.owner, source=source, options=JobOptions()).job.id for _ in range(2))
    assert ledger.delete_job(lab.owner, first) == [f"jobs/{first}/"]
    assert ledger.delete_job(lab.owner, second) == [f"jobs/{second}/", f"uploads/{lab.owner}/{upload.id}/"]
    for gone in (first, second):
        with pytest.raises(NotFound):
            ledger.get_job(lab.owner, gone)
    with pytest.raises(NotFound):
        ledger.get_upload(lab.owner, upload.id)


@pytest.mark.parametrize(
    "filename", ["../../etc/passwd", "C:\\Users\\me\\Meeting 1.m4a", "会議.wav", "...", "a" * 500 + ".mp3"]
)
def test_upload_keys_are_safe(lab: Lab, filename: str) -> None:
    """A file name cannot leave the owner's folder, and is kept as it was beside the key."""
    upload = lab.tools.ledger.create_upload(lab.owner, filename=filename, content_type="audio/wav", bytes=1)
    prefix, _, name = upload.key.rpartition("/")
    assert prefix == f"uploads/{lab.owner}/{upload.id}"
    assert 0 < len(name) <= 100
    assert upload.filename == filename


def test_nobody_starts_a_job_on_anothers_bytes(lab: Lab) -> None:
    """Somebody else's upload, one that has not arrived, and keys of other folders are refused."""
    ledger, other = lab.tools.ledger, lab.tools.ledger.create_owner("somebody else")
    upload = ledger.create_upload(other, filename="a", content_type="audio/wav", bytes=1)
    mine = ledger.create_upload(lab.owner, filename="a", content_type="audio/wav", bytes=1)
    refused = [
        (Source(SourceKind.UPLOAD, upload.id), NotFound),
        (Source(SourceKind.UPLOAD, mine.id), Conflict),
        (Source(SourceKind.S3, upload.key), NotFound),
        (Source(SourceKind.S3, "jobs/x/source"), NotFound),
    ]
    for source, error in refused:
        with pytest.raises(error):
            ledger.create_job(lab.owner, source=source, options=JobOptions())
    with pytest.raises(NotFound):
        ledger.complete_upload(lab.owner, UploadId(upload.id))


def test_keys_open_their_owners_door_alone(lab: Lab) -> None:
    """A key is shown once, kept as a hash, and nothing else is accepted."""
    ledger = lab.tools.ledger
    secret = ledger.create_api_key(lab.owner, "laptop")
    assert secret.startswith("vi_")
    assert ledger.owner_of_key(secret) == lab.owner
    assert secret not in str(lab.execute("SELECT * FROM api_keys"))
    with pytest.raises(Unauthorized):
        ledger.owner_of_key(secret + "x")


def test_an_owner_that_others_count_is_made_once(lab: Lab) -> None:
    """A user of Supabase may come again."""
    somebody = OwnerId("11111111-2222-3333-4444-555555555555")
    for _ in range(2):
        lab.tools.ledger.ensure_owner(somebody, "user")
    lab.owner = somebody
    assert lab.job().job.owner_id == somebody


def test_a_database_that_is_away_says_so(lab: Lab, free_port: int) -> None:
    """One error of ours, without the address."""
    settings = type(lab.tools.settings)(database_url=f"postgresql://u:hunter2@127.0.0.1:{free_port}/x")
    with pytest.raises(StorageUnavailable) as refused:
        Ledger.connect(settings).ping()
    assert "hunter2" not in str(refused.value)


def test_progress_wakes_who_waits(lab: Lab) -> None:
    """A stream of a job is woken by its new rows, through the database."""
    job_id = lab.job().job.id

    async def follow() -> list[str]:
        bell = ProgressBell(lab.tools.settings)
        listening = asyncio.create_task(bell.run())
        seen: list[str] = []
        async with contextlib.aclosing(bell.wakes(job_id)) as wakes:
            async for _ in wakes:
                rows = await asyncio.to_thread(lab.tools.ledger.progress_since, lab.owner, job_id, len(seen))
                seen += [row.status for row in rows]
                if "cancelled" in seen:
                    break
                await asyncio.to_thread(lab.tools.ledger.cancel, lab.owner, job_id)
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
        return seen

    assert asyncio.run(asyncio.wait_for(follow(), 30)) == ["queued", "cancelled"]
