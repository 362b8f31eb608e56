"""Many jobs in one request, over HTTP; and the choice whether equal work is done twice."""

import threading
from collections import Counter
from typing import Any

import httpx
import pytest

from shared.toolbox import Toolbox

pytestmark = pytest.mark.integration

URL = {"url": "https://example.com/meeting.m4a"}
BATCH = "/v1/jobs/batch"
MISSING = "00000000-0000-4000-8000-000000000000"


def items(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"source": URL, "session_id": f"s-{number}", **more} for number in range(count)]


def test_each_item_is_a_job_or_says_why_not(client: httpx.Client) -> None:
    """A mistake in one item costs the others nothing; the answers stand in the order of the request."""
    wrong: list[dict[str, Any]] = [
        {"source": {"upload_id": MISSING}},
        {"source": URL, "speakers": 99},
        {"source": {"url": "http://127.0.0.1/x"}},
    ]
    answer = client.post(BATCH, json={"items": [*items(2), *wrong, {"source": URL, "priority": "normal"}]})
    assert answer.status_code == 202
    told = answer.json()
    assert (told["accepted"], told["refused"]) == (3, 3)
    assert [item["index"] for item in told["items"]] == list(range(6))
    assert [item["job"] and item["job"]["priority"] for item in told["items"]] == [
        "bulk",
        "bulk",
        *[None] * 3,
        "normal",
    ]
    codes = [item["error"] and item["error"]["code"] for item in told["items"]]
    assert codes[:4] == [None, None, "not_found", "invalid_input"]
    assert told["items"][3]["error"]["errors"][0]["field"] == "speakers"
    assert len(client.get("/v1/jobs").json()["jobs"]) == 3


def test_a_batch_of_nothing_is_refused(client: httpx.Client) -> None:
    """No item that can be a job, no items, too many, or too large: nothing is written, and the reason is told."""
    none = client.post(BATCH, json={"items": [{"source": URL, "speakers": 99}] * 2})
    assert (none.status_code, none.json()["code"]) == (422, "invalid_input")
    assert none.json()["errors"][1]["field"] == "items.1"
    assert client.post(BATCH, json={"items": []}).status_code == 422
    assert client.post(BATCH, json={"items": items(501)}).status_code == 422
    assert client.post(BATCH, json={"items": items(1), "x": "y" * 2_100_000}).status_code == 413
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_a_batch_may_be_sent_again(client: httpx.Client) -> None:
    """As a whole by the header, item by item by their own keys; another body with the same key is a conflict."""
    key = {"Idempotency-Key": "monday"}
    first = client.post(BATCH, json={"items": items(3)}, headers=key).json()
    again = client.post(BATCH, json={"items": items(3), "priority": "bulk"}, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert [item["job"]["id"] for item in again.json()["items"]] == [item["job"]["id"] for item in first["items"]]
    assert all(item["replayed"] for item in again.json()["items"])
    assert client.post(BATCH, json={"items": items(2)}, headers=key).status_code == 409
    own = [item | {"idempotency_key": f"k{number % 2}"} for number, item in enumerate(items(2))]
    made = client.post(BATCH, json={"items": [*own, own[0]]}).json()["items"]
    assert [item["replayed"] for item in made] == [False, False, True]
    assert made[2]["job"]["id"] == made[0]["job"]["id"]
    other = client.post(BATCH, json={"items": [own[0] | {"language": "en"}, own[1]]}).json()["items"]
    assert (other[0]["error"]["code"], other[1]["replayed"]) == ("conflict", True)


def test_batches_with_the_same_keys_that_arrive_together(client: httpx.Client) -> None:
    """In opposite orders and at once: each key is one job, and nobody waits in a circle."""
    own = [item | {"idempotency_key": f"k{number}"} for number, item in enumerate(items(20))]
    told: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda order=order: told.append(client.post(BATCH, json={"items": order})))
        for order in (own, own[::-1], own, own[::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in told] == [202] * 4
    jobs = Counter(item["job"]["id"] for answer in told for item in answer.json()["items"])
    assert list(jobs.values()) == [4] * 20


def test_a_large_batch_stands_in_one_line(client: httpx.Client, toolbox: Toolbox) -> None:
    """Hundreds are taken at once, and wait at one turn's distance."""
    answer = client.post(BATCH, json={"items": items(100)}, timeout=60)
    assert answer.json()["accepted"] == 100
    jobs = [item["job"]["id"] for item in answer.json()["items"]]
    query = "SELECT job_id::text, turn FROM stage_runs"
    with toolbox.ledger.database.begin() as connection:
        turn = dict(map(tuple, connection.exec_driver_sql(query)))
    assert [turn[job] - turn[jobs[0]] for job in jobs] == list(range(100))


def test_an_owner_may_refuse_to_be_answered_from_before(client: httpx.Client) -> None:
    """On by default; what was chosen is kept, and is the owner's own."""
    assert client.get("/v1/preferences").json() == {"dedupe": True}
    assert client.put("/v1/preferences", json={"dedupe": False}).json() == {"dedupe": False}
    assert client.get("/v1/preferences").json() == {"dedupe": False}
    job = client.post("/v1/jobs", json={"source": URL}).json()
    assert (job["priority"], job["deduped_from"]) == ("interactive", None)
