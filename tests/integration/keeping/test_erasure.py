"""Deleting everything of an owner, or of one person: what goes, what stays, and what is said of it."""

import json
import threading
from pathlib import Path

import httpx
import pytest

from shared.domain.errors import Held, NotFound, Unauthorized
from shared.domain.ids import OwnerId
from shared.keeping.duties import go_on_erasing
from shared.keeping.erasing import erase_owner
from shared.settings import Settings
from shared.store.erasures import ACCOUNT, ALWAYS_KEPT, STEP_JOBS, Erasures
from shared.store.schema import metadata
from shared.toolbox import Toolbox
from tests.engine_lab import Lab
from tests.integration.keeping.things import a_job_of, an_upload, done, keys

pytestmark = pytest.mark.integration


def rows_of(lab: Lab, owner: OwnerId) -> dict[str, int]:
    """Rows that name the owner, by table."""
    counts = {}
    for table in metadata.sorted_tables:
        if "owner_id" in table.c:
            [(count,)] = lab.execute(f"SELECT count(*) FROM {table.name} WHERE owner_id = '{owner}'")
            counts[table.name] = count
    return {name: count for name, count in counts.items() if count}


@pytest.fixture
def full(lab: Lab, client: httpx.Client, tmp_path: Path) -> Lab:
    """An owner with jobs in every state, uploads, imports, a webhook, a policy."""
    client.post("/v1/webhooks", json={"url": "https://example.com/"})
    client.put("/v1/owner/retention", json={})
    done(lab, a_job_of(lab, an_upload(lab, tmp_path)))
    done(lab, lab.job({"shards": 2, "job": 2}).job.id)
    lab.tools.ledger.cancel(lab.owner, lab.job().job.id)
    lab.job({"job": 3})
    an_upload(lab, tmp_path)
    an_upload(lab, tmp_path, completed=False)
    (imported := tmp_path / "i.wav").write_bytes(b"imported")
    lab.tools.objects.put(f"imports/{lab.owner}/i.wav", imported, "audio/wav")
    lab.tools.objects.put(f"uploads/{lab.owner}/{lab.owner}/left-behind.wav", imported, "audio/wav")
    return lab


def test_everything_goes_and_is_counted(full: Lab, client: httpx.Client, tmp_path: Path) -> None:
    """Every row and every object, with a report that adds up; another owner loses nothing."""
    other = full.tools.ledger.create_owner("other")
    theirs = an_upload(full, tmp_path, other)
    jobs = [row[0] for row in full.execute(f"SELECT id FROM jobs WHERE owner_id = '{full.owner}'")]
    objects = [key for job in jobs for key in keys(full, f"jobs/{job}/")]
    runs = full.execute("SELECT count(*) FROM stage_runs")[0][0]
    answer = client.delete("/v1/owner/data")
    report = answer.json()
    assert (answer.status_code, report["status"], report["left"], report["error"]) == (200, "finished", 0, None)
    assert report["rows"]["jobs"] == len(jobs) == 4
    assert report["rows"]["stage_runs"] == runs
    assert report["rows"]["uploads"] == 3
    assert report["rows"]["webhook_endpoints"] == 1
    assert report["objects"] == {"jobs": len(objects), "uploads": 4, "imports": 1}
    assert set(rows_of(full, full.owner)) <= {*ALWAYS_KEPT, *ACCOUNT}
    assert [key for job in jobs for key in keys(full, f"jobs/{job}/")] == []
    assert keys(full, f"uploads/{full.owner}/") == keys(full, f"imports/{full.owner}/") == []
    assert len(keys(full, f"uploads/{other}/{theirs}/")) == 1
    assert client.get("/v1/owner/data").json() == report
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_the_account_goes_last(full: Lab, client: httpx.Client) -> None:
    """With it the keys: the answer is the last word. The report outlives it, and holds nothing of a recording."""
    report = client.delete("/v1/owner/data", params={"account": True}).json()
    assert report["status"] == "finished"
    assert report["rows"]["owners"] == 1
    assert report["rows"]["api_keys"] == 1
    assert set(rows_of(full, full.owner)) <= ALWAYS_KEPT
    assert client.get("/v1/jobs").status_code == 401
    assert Erasures(full.database).erasure(full.owner, report["id"]).rows == report["rows"]


def test_a_store_that_fails_midway(full: Lab, free_port: int) -> None:
    """The report says what is left; the steward goes on when the store is back; nothing is counted twice."""
    away = Toolbox(Settings(s3_endpoint_url=f"http://127.0.0.1:{free_port}", s3_access_key="x", s3_secret_key="x"))
    begun = erase_owner(full.database, away.objects, full.owner, account=True)
    assert begun.finished_at is None
    assert begun.left > 0
    assert "object store" in (begun.error or "")
    assert begun.rows["jobs"] == 4
    assert full.execute(f"SELECT count(*) FROM owners WHERE id = '{full.owner}'") == [(1,)]
    go_on_erasing(full.database, away.objects)
    full.execute("UPDATE object_deletions SET due_at = now()")
    go_on_erasing(full.database, full.tools.objects)
    report = Erasures(full.database).erasure(full.owner)
    assert (report.left, report.error) == (0, None)
    assert report.finished_at is not None
    assert report.rows["jobs"] == 4
    assert keys(full, f"uploads/{full.owner}/") == []
    assert full.execute(f"SELECT count(*) FROM owners WHERE id = '{full.owner}'") == [(0,)]


def test_one_person_of_an_owner(lab: Lab, client: httpx.Client, tmp_path: Path) -> None:
    """What a service asked for in one user's name goes, with the recordings that only it used; the rest stays."""
    shared, own = an_upload(lab, tmp_path), an_upload(lab, tmp_path)
    of_ann = [a_job_of(lab, own, user="ann"), a_job_of(lab, own, {"job": 2}, "ann"), a_job_of(lab, shared, user="ann")]
    of_bob = a_job_of(lab, shared, {"job": 3}, "bob")
    done(lab, of_bob)
    report = client.delete("/v1/owner/data", params={"on_behalf_of": "ann"}).json()
    assert (report["status"], report["rows"]["jobs"], report["rows"]["uploads"]) == ("finished", 3, 1)
    assert [client.get(f"/v1/jobs/{job}").status_code for job in (*of_ann, of_bob)] == [404, 404, 404, 200]
    assert keys(lab, f"uploads/{lab.owner}/{own}/") == []
    assert len(keys(lab, f"uploads/{lab.owner}/{shared}/")) == 1


def test_what_comes_after_the_request_stays(lab: Lab, tmp_path: Path) -> None:
    """An erasure that goes on does not eat what its owner begins meanwhile."""
    begun = Erasures(lab.database).begin_erasure(lab.owner)
    upload_id = an_upload(lab, tmp_path)
    job_id = a_job_of(lab, upload_id)
    go_on_erasing(lab.database, lab.tools.objects)
    assert Erasures(lab.database).erasure(lab.owner, begun.id).finished_at is not None
    assert done(lab, job_id).status.succeeded
    assert len(keys(lab, f"uploads/{lab.owner}/{upload_id}/")) == 1


def test_more_than_one_step_and_two_at_once(lab: Lab) -> None:
    """Many jobs, two who delete: each row is counted once."""
    most = STEP_JOBS + 10
    for number in range(most):
        lab.job({"job": number})
    threads = [
        threading.Thread(target=erase_owner, args=(lab.database, lab.tools.objects, lab.owner)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    go_on_erasing(lab.database, lab.tools.objects)
    reports = [json.loads(json.dumps(row[0])) for row in lab.execute("SELECT rows FROM erasures")]
    assert sum(rows.get("jobs", 0) for rows in reports) == most
    assert lab.execute("SELECT count(*) FROM jobs") == [(0,)]
    assert lab.execute("SELECT count(*) FROM erasures WHERE finished_at IS NULL") == [(0,)]


def test_time_that_is_up_leaves_the_rest_to_the_steward(lab: Lab) -> None:
    """The report of an unfinished one says so."""
    for number in range(STEP_JOBS + 1):
        lab.job({"job": number})
    begun = erase_owner(lab.database, lab.tools.objects, lab.owner, within_s=0)
    assert begun.finished_at is None
    go_on_erasing(lab.database, lab.tools.objects)
    assert Erasures(lab.database).erasure(lab.owner, begun.id).rows["jobs"] == STEP_JOBS + 1


def test_a_worker_in_the_middle_leaves_nothing(lab: Lab) -> None:
    """Its run is gone when it wants to commit; what it had written is found by the sweep of orphans."""
    job_id = lab.job({"shards": 1}).job.id
    [(_, run_id)] = lab.queued()
    claim = lab.runs.claim(run_id, message_id="m", lease_s=60)
    assert claim is not None
    erase_owner(lab.database, lab.tools.objects, lab.owner)
    assert lab.runs.beat(claim, 60).value == "cancelled"
    with pytest.raises(NotFound):
        lab.get(job_id)


def test_a_hold_on_one_job_keeps_everything(lab: Lab) -> None:
    """The refusal names the job; of one person it counts only where it is theirs."""
    held = lab.job().job.id
    lab.job({"job": 2})
    lab.tools.ledger.hold_job(lab.owner, held, "Case 12")
    with pytest.raises(Held) as refused:
        erase_owner(lab.database, lab.tools.objects, lab.owner)
    assert refused.value.details["jobs"] == [held]
    assert lab.execute("SELECT count(*) FROM jobs") == [(2,)]
    assert erase_owner(lab.database, lab.tools.objects, lab.owner, on_behalf_of="ann").finished_at is not None


def test_who_is_unknown_has_nothing_to_erase(lab: Lab, client: httpx.Client) -> None:
    """No owner, no report."""
    with pytest.raises(NotFound):
        erase_owner(lab.database, lab.tools.objects, OwnerId("4cf8a6f0-0000-4000-8000-000000000001"))
    assert client.get("/v1/owner/data").status_code == 404
    with pytest.raises(Unauthorized):
        lab.tools.ledger.principal_of_key("vi_nobody")


def test_every_table_is_thought_of() -> None:
    """Each table names an owner, a job, or is one of the few that hold nothing of anybody."""
    of_nobody = {"owners", "chores", "object_deletions", "queues"}
    unknown = {
        table.name
        for table in metadata.sorted_tables
        if "owner_id" not in table.c and "job_id" not in table.c and table.name not in of_nobody
    }
    assert unknown == set()
