"""Jobs over HTTP: begin, look, list, cancel, retry, delete."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from shared.domain.errors import NotFound
from shared.domain.ids import JobId
from shared.domain.job import Stage
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.integration.api.harness import Worker, served

pytestmark = pytest.mark.integration

NewJob = Callable[..., dict[str, Any]]
URL = {"url": "https://example.com/meeting.m4a"}


def test_a_job_is_accepted_and_can_be_looked_at(client: httpx.Client, toolbox: Toolbox) -> None:
    """The answer is the job; its options arrive in the ledger, its address is not told again."""
    wanted = {"source": URL, "language": "ja-JP", "speakers": "auto", "roles": ["coach"], "session_id": "s-1"}
    answer = client.post("/v1/jobs", json={**wanted, "options": {"denoise": True}})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["status"], job["session_id"], job["source"], job["filename"]) == ("queued", "s-1", "url", "meeting.m4a")
    assert "example.com" not in answer.text
    assert client.get(f"/v1/jobs/{job['id']}").json() == job
    kept = toolbox.ledger.get_job(toolbox.ledger.owner_of_key(_key(client)), JobId(job["id"]))
    assert (kept.options.language, kept.options.speakers, kept.options.denoise) == ("ja", None, True)


def _key(client: httpx.Client) -> str:
    return client.headers["authorization"].removeprefix("Bearer ")


def test_the_same_idempotency_key_gives_the_same_job(client: httpx.Client) -> None:
    """A client that did not hear the answer may ask again; a key for another request is a mistake."""
    key = {"Idempotency-Key": "meeting-7"}
    first = client.post("/v1/jobs", json={"source": URL, "language": "ja"}, headers=key)
    again = client.post("/v1/jobs", json={"language": "ja-JP", "source": URL}, headers=key)
    other = client.post("/v1/jobs", json={"source": URL, "language": "en"}, headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1


def test_two_owners_may_use_the_same_idempotency_key(client: httpx.Client, stranger: httpx.Client) -> None:
    """A key is its owner's: it neither collides with nor reveals another's."""
    key = {"Idempotency-Key": "same"}
    mine = client.post("/v1/jobs", json={"source": URL}, headers=key).json()
    theirs = stranger.post("/v1/jobs", json={"source": URL}, headers=key)
    assert theirs.status_code == 202
    assert theirs.json()["id"] != mine["id"]


def test_a_list_is_read_page_by_page(client: httpx.Client, new_job: NewJob) -> None:
    """Newest first, each job once, whatever the page's length."""
    made = [new_job()["id"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = client.get("/v1/jobs", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        assert len(page["jobs"]) <= 2
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]
    client.post(f"/v1/jobs/{made[0]}/cancel")
    cancelled = client.get("/v1/jobs", params={"status": "cancelled"}).json()["jobs"]
    assert [job["id"] for job in cancelled] == made[:1]


@pytest.mark.parametrize(
    "params", [{"limit": 0}, {"limit": 1000}, {"status": "lost"}, {"cursor": "garbage"}, {"cursor": "W10="}]
)
def test_a_wrong_question_to_the_list_is_refused(client: httpx.Client, params: dict[str, Any]) -> None:
    """Limits, states and cursors that we did not make."""
    answer = client.get("/v1/jobs", params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


def test_cancel_holds_and_can_be_said_twice(client: httpx.Client, new_job: NewJob) -> None:
    """The job is cancelled in the answer already; only one that has ended otherwise is a conflict."""
    job = new_job()
    for _ in range(2):
        answer = client.post(f"/v1/jobs/{job['id']}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


def test_a_failed_job_tells_why_and_can_be_tried_again(client: httpx.Client, new_job: NewJob, worker: Worker) -> None:
    """Its error is on the job and in place of the result; a retry queues it again."""
    job = new_job()
    assert client.post(f"/v1/jobs/{job['id']}/retry").status_code == 409
    worker.fail(job["id"], Stage.DOWNLOAD, "source_not_found", "The server answered 404.")
    failed = client.get(f"/v1/jobs/{job['id']}").json()
    assert failed["status"] == "failed"
    assert failed["error"] == {"code": "source_not_found", "message": "The server answered 404.", "stage": "download"}
    result = client.get(f"/v1/jobs/{job['id']}/result")
    assert (result.status_code, result.json()["code"]) == (409, "source_not_found")
    assert client.post(f"/v1/jobs/{job['id']}/cancel").status_code == 409
    again = client.post(f"/v1/jobs/{job['id']}/retry")
    assert (again.status_code, again.json()["status"], again.json()["error"]) == (202, "queued", None)


def test_a_retry_can_begin_at_a_stage(client: httpx.Client, new_job: NewJob, worker: Worker) -> None:
    """What was done before that stage stays; its result is gone until it is made again."""
    job = new_job()
    worker.complete(job["id"], {"schema": "vibeinsight.result/1"})
    again = client.post(f"/v1/jobs/{job['id']}/retry", json={"from_stage": "analyze"})
    assert again.status_code == 202
    assert client.get(f"/v1/jobs/{job['id']}/result").json()["code"] == "result_not_ready"
    worker.finish(job["id"], Stage.ANALYZE)
    worker.finish(job["id"], Stage.SYNTHESIZE, {"schema": "vibeinsight.result/1"})
    assert client.get(f"/v1/jobs/{job['id']}/result").status_code == 200
    assert client.post(f"/v1/jobs/{job['id']}/retry", json={"from_stage": "guess"}).status_code == 422


def test_delete_takes_rows_and_objects(client: httpx.Client, worker: Worker, toolbox: Toolbox) -> None:
    """Afterwards neither the job nor any byte of it is there."""
    form = client.post("/v1/jobs/file", files={"file": ("a.wav", b"RIFF....")})
    job = form.json()
    worker.complete(job["id"], {}, summary_flac=b"fLaC")
    owner = toolbox.ledger.owner_of_key(_key(client))
    source = toolbox.ledger.get_job(owner, JobId(job["id"])).source
    summary = f"jobs/{job['id']}/synthesize/0/summary.flac"
    upload = toolbox.ledger.get_upload(owner, source.value)  # type: ignore[arg-type]
    assert toolbox.objects.head(summary).bytes == 4
    assert toolbox.objects.head(upload.key).bytes == 8

    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert client.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 404
    for key in (summary, upload.key):
        with pytest.raises(NotFound):
            toolbox.objects.head(key)


def test_delete_stops_a_running_job(client: httpx.Client, new_job: NewJob, worker: Worker) -> None:
    """Who deletes need not cancel first."""
    job = new_job()
    worker.claim(job["id"], Stage.DOWNLOAD)
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_without_redis_jobs_are_accepted_all_the_same(settings: Settings, free_port: int) -> None:
    """The ledger is the truth; the doorbell only saves time. Readiness says which part is away."""
    gone = settings.model_copy(update={"redis_url": SecretStr(f"redis://127.0.0.1:{free_port}/0")})
    toolbox = Toolbox(gone)
    key = toolbox.ledger.create_api_key(toolbox.ledger.create_owner("test"), "test")
    with served(toolbox) as address, httpx.Client(base_url=address, timeout=10.0) as client:
        client.headers["Authorization"] = f"Bearer {key}"
        job = client.post("/v1/jobs", json={"source": URL})
        assert job.status_code == 202
        assert client.get(f"/v1/jobs/{job.json()['id']}").json()["status"] == "queued"
        ready = client.get("/readyz")
        assert ready.status_code == 503
        parts = ready.json()["parts"]
        assert {name: part["ok"] for name, part in parts.items()} == {"database": True, "redis": False, "objects": True}
        assert client.get("/livez").status_code == 200
