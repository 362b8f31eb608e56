"""What an owner may use: checked where it is taken, so that two requests at once cannot both take the last."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.errors import Overloaded, QuotaExceeded
from shared.domain.ids import OwnerId
from shared.domain.job import Job, JobOptions, Priority, Source, SourceKind, Stage
from shared.domain.limits import day_ends, month_ends
from shared.settings import Settings
from shared.store.admission import Admission
from shared.store.ledger import Ledger
from shared.toolbox import Toolbox
from tests.integration.api.harness import Worker
from tests.integration.limits.conftest import set_limits
from tests.integration.limits.test_budget import at_once

pytestmark = pytest.mark.integration

SOURCE = Source(SourceKind.URL, "https://lab.invalid/x")


def submit(toolbox: Toolbox, owner: OwnerId, **more: Any) -> Job:
    return toolbox.ledger.create_job(owner, source=SOURCE, options=JobOptions(), **more).job


def refused(deed: Callable[[], object]) -> QuotaExceeded:
    with pytest.raises(QuotaExceeded) as caught:
        deed()
    return caught.value


def test_open_jobs_free_as_they_end(toolbox: Toolbox, owner: OwnerId) -> None:
    """A third is refused with limit, use and a time to look again; a cancelled one makes room; others are not held."""
    set_limits(toolbox, owner, open_jobs=2)
    first = submit(toolbox, owner)
    submit(toolbox, owner)
    error = refused(lambda: submit(toolbox, owner))
    assert (error.details["limit"], error.details["allowed"], error.details["used"]) == ("open_jobs", 2, 2)
    assert error.details["retry_after_s"]
    submit(toolbox, toolbox.ledger.create_owner("stranger"))
    toolbox.ledger.cancel(owner, first.id)
    submit(toolbox, owner)


def test_a_job_that_has_begun_does_not_wait(toolbox: Toolbox, owner: OwnerId, worker: Worker) -> None:
    """Waiting jobs are limited by themselves."""
    set_limits(toolbox, owner, waiting_jobs=1)
    job = submit(toolbox, owner)
    assert refused(lambda: submit(toolbox, owner)).details["limit"] == "waiting_jobs"
    worker.finish(job.id, Stage.DOWNLOAD)
    submit(toolbox, owner)


def test_ten_at_once_do_not_pass_the_limit(toolbox: Toolbox, owner: OwnerId) -> None:
    """Of ten requests at the same moment for three places, three get one, and seven leave no row."""
    set_limits(toolbox, owner, open_jobs=3)
    outcomes = at_once([lambda: submit(toolbox, owner) and None] * 10)
    assert sorted(outcomes) == ["QuotaExceeded"] * 7 + ["done"] * 3
    assert len(toolbox.ledger.list_jobs(owner).jobs) == 3


def test_a_repetition_is_never_refused(toolbox: Toolbox, owner: OwnerId) -> None:
    """The same idempotency key gives the job of then, however full it is."""
    set_limits(toolbox, owner, open_jobs=1)
    job = submit(toolbox, owner, idempotency_key="k", body_hash="h")
    assert submit(toolbox, owner, idempotency_key="k", body_hash="h").id == job.id


def test_minutes_are_counted_once_a_job(toolbox: Toolbox, owner: OwnerId) -> None:
    """A second attempt counts nothing; a deleted job gives nothing back."""
    job = submit(toolbox, owner)
    for _ in range(2):
        toolbox.owner_use.count_audio(owner, job.id, 1800.0)
    toolbox.ledger.cancel(owner, job.id)
    toolbox.ledger.delete_job(owner, job.id)
    use = toolbox.owner_use.now(owner)[0].use
    assert (use.audio_s_day, use.audio_s_month) == (1800.0, 1800.0)


def test_a_recording_that_does_not_fit_is_refused(toolbox: Toolbox, owner: OwnerId) -> None:
    """Its length is known after the download: what would pass the limit takes nothing, and a shorter one fits."""
    set_limits(toolbox, owner, audio_minutes_day=60.0)
    jobs = [submit(toolbox, owner) for _ in range(3)]
    toolbox.owner_use.count_audio(owner, jobs[0].id, 2400.0)
    error = refused(lambda: toolbox.owner_use.count_audio(owner, jobs[1].id, 1800.0))
    assert (error.details["limit"], error.details["used"]) == ("audio_minutes_day", 40.0)
    assert not error.retryable
    toolbox.owner_use.count_audio(owner, jobs[2].id, 1200.0)
    assert refused(lambda: submit(toolbox, owner)).details["limit"] == "audio_minutes_day"


def test_recordings_at_once_do_not_pass_the_minutes(toolbox: Toolbox, owner: OwnerId) -> None:
    """Eight hours at the same moment for three: three are taken."""
    set_limits(toolbox, owner, audio_minutes_month=180.0)
    jobs = [submit(toolbox, owner) for _ in range(8)]
    deeds = [lambda job=job: toolbox.owner_use.count_audio(owner, job.id, 3600.0) for job in jobs]
    assert sorted(at_once(deeds)) == ["QuotaExceeded"] * 5 + ["done"] * 3


def test_bytes_of_a_day(toolbox: Toolbox, owner: OwnerId) -> None:
    """Declared or arrived, they count; a dropped upload gives nothing back; it says when the day ends."""
    set_limits(toolbox, owner, upload_bytes_day=1000)

    def upload(size: int) -> Any:
        return toolbox.ledger.create_upload(owner, filename="a", content_type="audio/wav", bytes=size)

    first = upload(600)
    toolbox.ledger.drop_upload(owner, first.id)
    error = refused(lambda: upload(500))
    assert (error.details["used"], error.details["allowed"]) == (600, 1000)
    assert datetime.fromisoformat(str(error.details["frees_at"])) == day_ends(datetime.now(UTC))
    form = upload(0)
    refused(lambda: toolbox.ledger.complete_upload(owner, form.id, bytes=500))
    toolbox.ledger.complete_upload(owner, form.id, bytes=400)


def test_too_much_waiting_refuses_bulk_first(settings: Settings, toolbox: Toolbox, owner: OwnerId) -> None:
    """Bulk is refused at half the mark, what somebody waits for at the whole one; both open again well below it."""
    busy = settings.model_copy(update={"busy_jobs": 4})
    admission = Admission(busy)
    ledger, waits_s = Ledger(toolbox.ledger.database, admission), list[float]()

    def try_one(priority: Priority) -> str:
        admission._pressure._looked_at = 0.0  # as if a second had passed
        try:
            ledger.create_job(owner, source=SOURCE, options=JobOptions(), priority=priority)
        except Overloaded as error:
            waits_s.append(float(str(error.details["retry_after_s"])))
            return "refused"
        return "taken"

    assert [try_one(Priority.BULK) for _ in range(4)] == ["taken"] * 3 + ["refused"]
    assert [try_one(Priority.INTERACTIVE) for _ in range(3)] == ["taken"] * 2 + ["refused"]
    waiting = toolbox.ledger.list_jobs(owner).jobs
    toolbox.ledger.cancel(owner, waiting[0].id)
    assert try_one(Priority.INTERACTIVE) == "refused"  # four wait: below the mark, but not by enough
    toolbox.ledger.cancel(owner, waiting[1].id)
    toolbox.ledger.cancel(owner, waiting[2].id)
    assert try_one(Priority.INTERACTIVE) == "taken"
    assert all(5.0 <= wait_s <= 900.0 for wait_s in waits_s)


def test_days_and_months_end_in_utc() -> None:
    """Also over the end of a year."""
    eve = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert day_ends(eve) == month_ends(eve) == datetime(2027, 1, 1, tzinfo=UTC)
    assert month_ends(datetime(2026, 2, 1, tzinfo=UTC)) == datetime(2026, 3, 1, tzinfo=UTC)
