"""What is kept, how long, and what is said when it is gone."""

from pathlib import Path

import httpx
import pytest

from shared.domain.access import Scope
from shared.domain.errors import Gone, Held
from shared.domain.ids import JobId
from shared.domain.job import JobStatus, Stage
from shared.domain.keeping import Retention
from shared.keeping.duties import expire, prune
from shared.store.expiry import PROGRESS_ROWS
from tests.engine_lab import Lab
from tests.integration.api.harness import Worker
from tests.integration.keeping.things import a_job_of, an_upload, days_pass, done, keys

pytestmark = pytest.mark.integration

SOURCE = {"url": "https://example.com/meeting.m4a"}


def expired(lab: Lab) -> dict[str, int]:
    return expire(lab.database, lab.tools.objects)


def stages_left(lab: Lab, job_id: JobId) -> set[str]:
    return {key.split("/")[2] for key in keys(lab, f"jobs/{job_id}/")}


def test_by_default_derived_go_after_a_week_and_the_source_after_a_month(lab: Lab, tmp_path: Path) -> None:
    """Rows, documents, transcript and the spoken summary stay for good."""
    upload_id = an_upload(lab, tmp_path)
    job_id = a_job_of(lab, upload_id)
    done(lab, job_id)
    everything = {stage.value for stage in Stage}
    assert (expired(lab)["derived"], stages_left(lab, job_id)) == (0, everything)
    days_pass(lab, 7.1)
    assert expired(lab) == {"results": 0, "source": 0, "derived": 1, "uploads": 0}
    assert stages_left(lab, job_id) == {"download", "synthesize"}
    days_pass(lab, 23)
    assert expired(lab) == {"results": 0, "source": 1, "derived": 0, "uploads": 0}
    assert stages_left(lab, job_id) == {"synthesize"}
    assert keys(lab, f"uploads/{lab.owner}/") == []
    days_pass(lab, 3_000)
    assert not any(expired(lab).values())
    assert lab.tools.ledger.result(lab.owner, job_id)
    assert len(lab.tools.ledger.artefacts(lab.owner, job_id)) == len(everything)


def test_an_owners_policy_is_theirs(lab: Lab, client: httpx.Client, tmp_path: Path) -> None:
    """Set by the owner, for jobs that have ended already too; null keeps for ever, nothing else is taken."""
    assert client.get("/v1/owner/retention").json() == {"source_days": 30, "derived_days": 7, "results_days": None}
    wanted = {"source_days": None, "derived_days": None, "results_days": 90}
    assert client.put("/v1/owner/retention", json=wanted).json() == wanted
    job_id = a_job_of(lab, an_upload(lab, tmp_path))
    done(lab, job_id)
    days_pass(lab, 80)
    assert not any(expired(lab).values())
    days_pass(lab, 11)
    assert expired(lab)["results"] == 1
    assert client.get(f"/v1/jobs/{job_id}").status_code == 404
    assert keys(lab, f"jobs/{job_id}/") == keys(lab, f"uploads/{lab.owner}/") == []
    for wrong in ({"source_days": -1}, {"source_days": 4_000}, {"source_days": "x"}, {"days": 3}):
        assert client.put("/v1/owner/retention", json=wrong).status_code == 422


def test_an_upload_stays_while_another_job_may_want_it(lab: Lab, tmp_path: Path) -> None:
    """Two jobs from one recording: it goes with the second."""
    upload_id = an_upload(lab, tmp_path)
    first, second = a_job_of(lab, upload_id), a_job_of(lab, upload_id, {"job": 2})
    done(lab, first)
    lab.tools.ledger.delete_audio(lab.owner, first)
    expired(lab)
    assert len(keys(lab, f"uploads/{lab.owner}/")) == 1
    lab.tools.ledger.delete_audio(lab.owner, second)
    expired(lab)
    assert keys(lab, f"uploads/{lab.owner}/") == []


def test_what_runs_is_never_touched(lab: Lab) -> None:
    """Not even of a job that began long ago."""
    job = lab.job({"shards": 1}).job
    for _ in range(2):
        stage, run_id = lab.queued()[0]
        lab.runner.run(run_id, lab.works[stage], "m")
    lab.execute("UPDATE jobs SET created_at = now() - interval '1 year', started_at = now() - interval '1 year'")
    assert not any(expired(lab).values())
    assert done(lab, job.id).status is JobStatus.COMPLETED


@pytest.mark.parametrize("on", ["job", "owner"])
def test_under_a_hold_nothing_goes(lab: Lab, client: httpx.Client, tmp_path: Path, on: str) -> None:
    """Not by time, not by hand, not by a retry; when it is lifted everything may go."""
    job_id = a_job_of(lab, an_upload(lab, tmp_path))
    done(lab, job_id)
    before = keys(lab)
    place = f"/v1/jobs/{job_id}/hold" if on == "job" else "/v1/owner/hold"
    assert client.put(place, json={"reason": "Case 12"}).status_code == 200
    days_pass(lab, 4_000)
    assert not any(expired(lab).values())
    calls = [
        client.delete(f"/v1/jobs/{job_id}"),
        client.delete(f"/v1/jobs/{job_id}/audio"),
        client.post(f"/v1/jobs/{job_id}/retry", json={"from_stage": "analyze"}),
        client.delete("/v1/owner/data"),
        client.delete("/v1/owner/data", params={"account": True}),
    ]
    assert [(call.status_code, call.json()["code"]) for call in calls] == [(409, "legal_hold")] * 5
    assert all("Case 12" in call.json()["detail"] or "lift it first" in call.json()["detail"] for call in calls)
    shown = client.get(f"/v1/jobs/{job_id}/kept").json()
    assert shown["hold"]["reason"] == "Case 12"
    assert shown["source_until"] is None
    assert keys(lab) == before
    assert client.delete(place).status_code in (200, 204)
    assert expired(lab)["source"] == 1


def test_a_held_job_that_runs_is_not_stopped_by_a_delete(lab: Lab, client: httpx.Client) -> None:
    """The refusal comes before anything is done."""
    job_id = lab.job().job.id
    client.put(f"/v1/jobs/{job_id}/hold", json={"reason": "r"})
    assert client.delete(f"/v1/jobs/{job_id}").json()["code"] == "legal_hold"
    assert lab.get(job_id).status is JobStatus.QUEUED


def test_what_the_audio_answers_after_each_deletion(lab: Lab, client: httpx.Client, tmp_path: Path) -> None:
    """First the derived audio, then the recording as it came, then 410 with the day; the exports stay."""
    job = client.post("/v1/jobs", json={"source": SOURCE}).json()
    worker = Worker(lab.tools, tmp_path)
    audio = f"/v1/jobs/{job['id']}/audio"
    assert (client.get(audio).status_code, client.get(audio).json()["code"]) == (409, "audio_not_ready")
    worker.finish(job["id"], Stage.DOWNLOAD, source=b"as it came")
    worker.finish(job["id"], Stage.PREPROCESS, audio_flac=b"as it was heard")
    worker.finish(job["id"], Stage.ANALYZE)
    document = {"schema": "vibeinsight.result/1"}
    worker.finish(job["id"], Stage.SYNTHESIZE, document, summary_flac=b"spoken")
    assert client.get(audio).content == b"as it was heard"
    days_pass(lab, 8)
    expired(lab)
    assert client.get(audio).content == b"as it came"
    days_pass(lab, 30)
    expired(lab)
    gone = client.get(audio)
    assert (gone.status_code, gone.json()["code"]) == (410, "audio_deleted")
    assert gone.json()["deleted_at"]
    assert client.get(f"/v1/jobs/{job['id']}/result").json()["schema"] == document["schema"]
    assert client.get(f"/v1/jobs/{job['id']}/summary-audio").content == b"spoken"


def test_the_recording_alone_by_hand(lab: Lab, client: httpx.Client, tmp_path: Path) -> None:
    """409 while the job runs; then everything one could listen to goes, at once, and twice is no error."""
    job_id = a_job_of(lab, an_upload(lab, tmp_path))
    assert client.delete(f"/v1/jobs/{job_id}/audio").status_code == 409
    done(lab, job_id)
    for _ in range(2):
        deleted = client.delete(f"/v1/jobs/{job_id}/audio")
        assert deleted.status_code == 200
        assert deleted.json()["source_deleted_at"]
    assert stages_left(lab, job_id) == {"synthesize"}
    assert keys(lab, f"uploads/{lab.owner}/") == []
    assert client.get(f"/v1/jobs/{job_id}/result").status_code == 200


def test_a_retry_makes_again_what_has_expired(lab: Lab) -> None:
    """Derived gone: it begins at preprocess. The recording gone too: it is fetched again, where there is an address."""
    job_id = lab.job({"shards": 1}).job.id
    done(lab, job_id)
    days_pass(lab, 8)
    expired(lab)
    again = lab.tools.ledger.retry(lab.owner, job_id, Stage.TRANSCRIBE)
    assert [stage for stage, _ in again.runs] == [Stage.PREPROCESS]
    assert done(lab, job_id).status is JobStatus.COMPLETED
    assert "preprocess" in stages_left(lab, job_id)
    days_pass(lab, 31)
    expired(lab)
    again = lab.tools.ledger.retry(lab.owner, job_id, Stage.DIARIZE)
    assert [stage for stage, _ in again.runs] == [Stage.DOWNLOAD]
    assert done(lab, job_id).status is JobStatus.COMPLETED
    kept = lab.tools.ledger.kept(lab.owner, job_id)
    assert (kept.source_deleted_at, kept.derived_deleted_at) == (None, None)


def test_a_retry_of_what_needs_no_audio_still_works(lab: Lab) -> None:
    """Analysis reads documents, and those are kept."""
    job_id = lab.job({"shards": 1}).job.id
    done(lab, job_id)
    days_pass(lab, 40)
    expired(lab)
    assert [stage for stage, _ in lab.tools.ledger.retry(lab.owner, job_id, Stage.ANALYZE).runs] == [Stage.ANALYZE]
    assert done(lab, job_id).status is JobStatus.COMPLETED


def test_a_retry_that_cannot_be_says_what_is_gone(lab: Lab, client: httpx.Client, tmp_path: Path) -> None:
    """An uploaded recording is nowhere else: 410, and the old result is still there."""
    job_id = a_job_of(lab, an_upload(lab, tmp_path))
    done(lab, job_id)
    days_pass(lab, 31)
    expired(lab)
    with pytest.raises(Gone):
        lab.tools.ledger.retry(lab.owner, job_id, Stage.TRANSCRIBE)
    refused = client.post(f"/v1/jobs/{job_id}/retry", json={"from_stage": "download"})
    assert (refused.status_code, refused.json()["code"]) == (410, "audio_deleted")
    assert "send the recording again" in refused.json()["detail"]
    assert client.get(f"/v1/jobs/{job_id}/result").status_code == 200


def test_no_retry_while_the_store_still_deletes(lab: Lab) -> None:
    """What is written anew under the same names would be deleted with the old."""
    job_id = lab.job({"shards": 1}).job.id
    done(lab, job_id)
    lab.tools.ledger.delete_audio(lab.owner, job_id)
    with pytest.raises(Exception, match="being deleted"):
        lab.tools.ledger.retry(lab.owner, job_id, Stage.TRANSCRIBE)
    expired(lab)
    assert lab.tools.ledger.retry(lab.owner, job_id, Stage.TRANSCRIBE).runs


def test_what_has_expired_is_not_in_the_cache(lab: Lab) -> None:
    """The same recording again is prepared again, not taken from files that are gone."""
    first = lab.job({"shards": 1}).job.id
    done(lab, first)
    days_pass(lab, 40)
    expired(lab)
    second = lab.job({"shards": 1}).job.id
    assert done(lab, second).status is JobStatus.COMPLETED
    assert "preprocess" in stages_left(lab, second)


def test_a_store_that_is_away_delays_a_deletion(lab: Lab, client: httpx.Client, tmp_path: Path) -> None:
    """The caller is told that it is done, the rows are gone, and the objects follow when the store is back."""
    job_id = a_job_of(lab, an_upload(lab, tmp_path))
    done(lab, job_id)
    prefixes = lab.tools.ledger.delete_job(lab.owner, job_id)
    assert len(keys(lab, f"jobs/{job_id}/")) > 0
    assert client.get(f"/v1/jobs/{job_id}").status_code == 404
    expired(lab)
    assert [found for prefix in prefixes for found in keys(lab, prefix)] == []
    assert lab.execute("SELECT count(*) FROM object_deletions") == [(0,)]


def test_progress_of_old_jobs_is_pruned_in_batches(lab: Lab) -> None:
    """After a week the last row alone is left; a retry's rows are pruned in their turn."""
    job_id = lab.job({"shards": 1}).job.id
    done(lab, job_id)
    last = lab.execute("SELECT max(version) FROM job_progress")[0][0]
    lab.execute(
        "INSERT INTO job_progress (job_id, version, session_id, owner_id, status, percent, message_key, message)"
        f" SELECT job_id, -n, session_id, owner_id, status, 0, message_key, '' FROM job_progress,"
        f" generate_series(1, {PROGRESS_ROWS}) AS n WHERE version = {last}"
    )
    assert prune(lab.database) == 0
    days_pass(lab, 8)
    assert prune(lab.database) == PROGRESS_ROWS + last - 1
    assert lab.execute("SELECT version FROM job_progress") == [(last,)]
    assert prune(lab.database) == 0
    lab.tools.ledger.retry(lab.owner, job_id, Stage.ANALYZE)
    done(lab, job_id)
    days_pass(lab, 8)
    assert prune(lab.database) >= 1
    assert len(lab.execute("SELECT version FROM job_progress")) == 1


def test_the_log_of_webhooks_is_pruned(lab: Lab, client: httpx.Client) -> None:
    """Ended deliveries after 30 days, and what was held for a webhook that nobody resumed; what is due stays."""
    client.post("/v1/webhooks", json={"url": "https://example.com/"})
    for _ in range(3):
        lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    lab.execute("UPDATE webhook_deliveries SET created_at = now() - interval '31 days'")
    ids = [row[0] for row in lab.execute("SELECT id FROM webhook_deliveries")]
    lab.execute(f"UPDATE webhook_deliveries SET status = 'failed', finished_at = now() WHERE id = '{ids[0]}'")
    lab.execute(f"UPDATE webhook_deliveries SET status = 'held' WHERE id = '{ids[1]}'")
    prune(lab.database)
    assert lab.execute("SELECT id FROM webhook_deliveries") == [(ids[2],)]


def test_a_stranger_sees_and_holds_nothing(lab: Lab, client: httpx.Client) -> None:
    """Another's job has no recording to delete, no hold to set and nothing kept: 404."""
    job_id = lab.job().job.id
    stranger = lab.tools.ledger.create_owner("stranger")
    client.headers["Authorization"] = f"Bearer {lab.tools.ledger.create_api_key(stranger, 'test')}"
    place = f"/v1/jobs/{job_id}"
    calls = [("DELETE", f"{place}/audio"), ("DELETE", f"{place}/hold"), ("GET", f"{place}/kept")]
    assert [client.request(method, path).status_code for method, path in calls] == [404, 404, 404]
    assert client.put(f"{place}/hold", json={"reason": "mine"}).status_code == 404
    client.put("/v1/owner/hold", json={"reason": "all of mine"})
    lab.tools.ledger.require_free(lab.owner, job_id)
    with pytest.raises(Held):
        lab.tools.ledger.begin_erasure(stranger)


def test_changing_the_policy_keeps_the_hold(lab: Lab, client: httpx.Client) -> None:
    """And the other way round."""
    client.put("/v1/owner/hold", json={"reason": "r"})
    client.put("/v1/owner/retention", json={"source_days": 1})
    assert client.get("/v1/owner/hold").json()["reason"] == "r"
    client.delete("/v1/owner/hold")
    assert lab.tools.ledger.retention(lab.owner) == Retention(1, 7, None)
    assert client.get("/v1/owner/hold").json() == {"held_at": None, "reason": None}


def test_a_hold_is_the_administrators(lab: Lab, client: httpx.Client) -> None:
    """A key that may delete jobs may not lift what keeps them."""
    job_id = lab.job().job.id
    lab.tools.ledger.hold_job(lab.owner, job_id, "r")
    worker = lab.tools.ledger.create_key(lab.owner, "worker", scopes={Scope.JOBS_READ, Scope.JOBS_WRITE})
    client.headers["Authorization"] = f"Bearer {worker.secret}"
    calls = [client.delete(f"/v1/jobs/{job_id}/hold"), client.delete("/v1/owner/data"), client.get("/v1/webhooks")]
    assert [call.status_code for call in calls] == [403, 403, 403]
    assert client.get(f"/v1/jobs/{job_id}/kept").json()["hold"]["reason"] == "r"
