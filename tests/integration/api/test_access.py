"""Who may call, and what they see of others."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.integration

NewJob = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Basic dmk6dmk=", "Bearer not-a-key", "Bearer vi_wrong", f"Bearer vi_{'x' * 300}"]
)
def test_without_a_valid_key_nothing_is_answered(address: str, header: str | None) -> None:
    """No key, another scheme and an unknown key are all 401, with the way to do it right."""
    headers = {"Authorization": header} if header else {}
    answer = httpx.get(f"{address}/v1/jobs", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthorized"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/result"),
        ("GET", "/transcript"),
        ("GET", "/report"),
        ("GET", "/audio"),
        ("GET", "/summary-audio"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("DELETE", ""),
    ],
)
def test_another_owners_job_is_not_there(stranger: httpx.Client, new_job: NewJob, method: str, path: str) -> None:
    """Every call on somebody else's job says 404, as for a job that never was."""
    answer = stranger.request(method, f"/v1/jobs/{new_job()['id']}{path}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_another_owners_job_is_left_as_it_was(client: httpx.Client, stranger: httpx.Client, new_job: NewJob) -> None:
    """A refused cancel and a refused delete change nothing, and no list shows the job to others."""
    job = new_job()
    stranger.post(f"/v1/jobs/{job['id']}/cancel")
    stranger.delete(f"/v1/jobs/{job['id']}")
    assert stranger.get("/v1/jobs").json()["jobs"] == []
    assert client.get(f"/v1/jobs/{job['id']}").json()["status"] == "queued"


def test_another_owners_upload_cannot_be_used(client: httpx.Client, stranger: httpx.Client) -> None:
    """Neither completed nor analysed, by its id or by its key."""
    upload = client.post("/v1/uploads", json={"filename": "a.wav", "bytes": 3}).json()
    httpx.put(upload["url"], content=b"abc", headers=upload["headers"]).raise_for_status()
    client.post(f"/v1/uploads/{upload['id']}/complete", json={}).raise_for_status()
    key = upload["url"].partition("?")[0].partition("/uploads/")[2]
    assert stranger.post(f"/v1/uploads/{upload['id']}/complete", json={}).status_code == 404
    assert stranger.post("/v1/jobs", json={"source": {"upload_id": upload["id"]}}).status_code == 404
    by_key = stranger.post("/v1/jobs", json={"source": {"s3_key": f"uploads/{key}"}})
    assert (by_key.status_code, by_key.json()["code"]) == (422, "invalid_input")
    assert client.post("/v1/jobs", json={"source": {"s3_key": f"uploads/{key}"}}).status_code == 202
