"""What surrounds the calls: errors, headers, health, metrics, the front door, the call of the Edge Function."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.domain.job import Stage
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.integration.api.harness import Worker, served

pytestmark = pytest.mark.integration

NewJob = Callable[..., dict[str, Any]]
PROBLEM = "application/problem+json"
AUDIO = "https://x.supabase.co/storage/v1/object/sign/rec/a.m4a"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nowhere", None, 404, "not_found"),
        ("PUT", "/v1/jobs", None, 405, "method_not_allowed"),
        ("GET", "/v1/jobs/not-a-uuid", None, 422, "invalid_input"),
        ("POST", "/v1/jobs", "{", 422, "invalid_input"),
        ("POST", "/v1/jobs", "{}", 422, "invalid_input"),
        ("POST", "/v1/jobs", '{"source": {"url": "http://example.com/a"}}', 422, "source_refused"),
        ("POST", "/v1/jobs", '{"source": {"url": "https://169.254.169.254/"}}', 422, "source_refused"),
        ("POST", "/v1/jobs", '{"source": {"s3_key": "jobs/x"}}', 422, "invalid_input"),
        ("POST", "/v1/jobs", '{"source": {"upload_id": "x"}}', 404, "not_found"),
        ("POST", "/v1/jobs", '"' + "x" * 70_000 + '"', 413, "payload_too_large"),
        ("POST", "/v1/jobs/file", "{}", 422, "invalid_input"),
    ],
)
def test_every_refusal_is_a_problem(
    client: httpx.Client, method: str, path: str, body: str | None, status: int, code: str
) -> None:
    """One shape for all errors, whoever found them, with the id under which the log has it."""
    answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    told = answer.json()
    assert (told["code"], told["status"], told["instance"]) == (code, status, path)
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["detail"]


def test_a_wrong_field_is_named_and_its_value_is_not_repeated(client: httpx.Client) -> None:
    """Values may be signed addresses; the names are enough to mend the request."""
    url = "https://example.com/" + "secret" * 1000
    answer = client.post("/v1/jobs", json={"source": {"url": url}, "speakers": 11, "language": "xx"})
    assert {error["field"] for error in answer.json()["errors"]} == {"source.url", "speakers", "language"}
    assert "secret" not in answer.text


def test_what_breaks_is_said_without_its_insides(settings: Settings) -> None:
    """A failure that nobody foresaw is 500 with an id, and no trace of the code."""
    toolbox = Toolbox(settings)
    key = toolbox.ledger.create_api_key(toolbox.ledger.create_owner("test"), "test")
    with toolbox.ledger.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs RENAME COLUMN webhook TO weebhook")
    with served(toolbox) as address:
        answer = httpx.get(f"{address}/v1/jobs", headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "webhook" not in answer.text
        assert httpx.get(f"{address}/livez").status_code == 200


def test_a_database_that_is_away_is_said_so(settings: Settings, free_port: int) -> None:
    """503 with a time to come back; the process lives on and names the part."""
    from pydantic import SecretStr

    gone = settings.model_copy(update={"database_url": SecretStr(f"postgresql://x@127.0.0.1:{free_port}/x")})
    with served(Toolbox(gone)) as address:
        answer = httpx.get(f"{address}/v1/jobs", headers={"Authorization": "Bearer vi_any"}, timeout=20.0)
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        ready = httpx.get(f"{address}/readyz", timeout=20.0)
        assert (ready.status_code, ready.json()["parts"]["database"]["ok"]) == (503, False)


def test_answers_carry_their_guards(client: httpx.Client) -> None:
    """Nothing sniffed, framed, cached or run; a given request id is kept, a forged one is not."""
    answer = client.get("/v1/jobs", headers={"X-Request-ID": "from-the-proxy-1"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-request-id"] == "from-the-proxy-1"
    assert client.get("/v1/jobs", headers={"X-Request-ID": "a b{}"}).headers["x-request-id"] != "a b{}"
    assert "server" not in answer.headers or "uvicorn" in answer.headers["server"]


def test_other_pages_may_call_only_when_they_are_named(settings: Settings, client: httpx.Client) -> None:
    """No CORS by default; with an origin configured, that one and no other."""
    ask = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in client.options("/v1/jobs", headers=ask).headers
    named = settings.model_copy(update={"cors_origins": ("https://app.example.com",)})
    with served(Toolbox(named)) as address:
        good = httpx.options(f"{address}/v1/jobs", headers=ask)
        bad = httpx.options(f"{address}/v1/jobs", headers={**ask, "Origin": "https://evil.example.com"})
        broken = httpx.get(f"{address}/v1/jobs", headers={"Origin": "https://app.example.com"})
    assert good.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "access-control-allow-origin" not in bad.headers
    assert broken.headers["access-control-allow-origin"] == "https://app.example.com"


def test_health_names_every_part(address: str) -> None:
    """With all servers up each part is ok, under both names, without a key."""
    for path in ("/readyz", "/health"):
        answer = httpx.get(address + path)
        assert answer.status_code == 200, answer.text
        assert {name: part["ok"] for name, part in answer.json()["parts"].items()} == {
            "database": True,
            "redis": True,
            "objects": True,
        }


def test_metrics_count_requests_by_route(client: httpx.Client, new_job: NewJob) -> None:
    """By pattern and status, never by id."""

    def counted(route: str, status: int) -> float:
        line = f'vibeinsight_http_requests_total{{method="GET",route="{route}",status="{status}"}} '
        found = [told.removeprefix(line) for told in client.get("/metrics").text.splitlines() if told.startswith(line)]
        return float(found[0]) if found else 0.0

    seen, lost = counted("/v1/jobs/{job_id}", 200), counted("none", 404)
    job = new_job()
    client.get(f"/v1/jobs/{job['id']}")
    client.get("/nowhere")
    assert (counted("/v1/jobs/{job_id}", 200), counted("none", 404)) == (seen + 1, lost + 1)
    assert job["id"] not in client.get("/metrics").text


def test_the_front_door_lists_the_calls(client: httpx.Client) -> None:
    """Whoever opens the address sees what this is."""
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "POST /v1/jobs/file" in page.text
    assert client.get("/docs").status_code == 200


def _ask(client: httpx.Client, **fields: str) -> httpx.Response:
    wanted = {"session_id": "s-1", "audio_url": f"{AUDIO}?token=first", "user_id": "user-1", **fields}
    return client.post("/process-audio", json=wanted)


def test_process_audio_starts_one_job_a_session_and_recording(client: httpx.Client) -> None:
    """However often and however signed; the job is the key's owner's, and remembers the user."""
    first, again = _ask(client), _ask(client, audio_url=f"{AUDIO}?token=second")
    assert first.status_code == 202
    assert {name: first.json()[name] for name in ("message", "session_id", "status")} == {
        "message": "Processing started",
        "session_id": "s-1",
        "status": "processing",
    }
    assert again.json() == first.json()
    job = client.get(f"/v1/jobs/{first.json()['job_id']}").json()
    assert (job["session_id"], job["on_behalf_of"]) == ("s-1", "user-1")
    assert _ask(client, session_id="s-2").json()["job_id"] != job["id"]
    assert len(client.get("/v1/jobs").json()["jobs"]) == 2


def test_process_audio_tries_again_after_a_failure(client: httpx.Client, worker: Worker) -> None:
    """A failed job does not stand in the way of the next one, which again is one."""
    first = _ask(client).json()["job_id"]
    worker.fail(first, Stage.DOWNLOAD, "source_not_found", "404")
    second, third = _ask(client).json()["job_id"], _ask(client).json()["job_id"]
    assert first != second == third


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"audio_url": "http://x.test/a"}, "source_refused"),
        ({"session_id": ""}, "invalid_input"),
        ({"user_id": ""}, "invalid_input"),
    ],
)
def test_process_audio_refuses_what_cannot_be(client: httpx.Client, fields: dict[str, str], code: str) -> None:
    """As /v1/jobs does."""
    answer = _ask(client, **fields)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
