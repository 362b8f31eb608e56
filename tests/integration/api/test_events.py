"""Progress as it happens."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from shared.domain.job import Stage
from shared.toolbox import Toolbox
from tests.integration.api.harness import Worker, wait_until

pytestmark = pytest.mark.integration

NewJob = Callable[..., dict[str, Any]]


def _events(response: httpx.Response) -> Iterator[tuple[int, dict[str, Any]]]:
    """(id, data) of each event named progress."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            assert fields["event"] == "progress"
            yield int(fields["id"]), json.loads(fields["data"])
            fields = {}


@contextmanager
def _stream(
    client: httpx.Client, job_id: str, after: int | None = None
) -> Iterator[Iterator[tuple[int, dict[str, Any]]]]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _events(response)


def test_a_stream_tells_each_step_and_ends_with_the_job(client: httpx.Client, new_job: NewJob, worker: Worker) -> None:
    """Versions grow by one, percent never falls, the last event is the end, and then the server closes."""
    job = new_job()
    with _stream(client, job["id"]) as events:
        first, data = next(events)
        assert (first, data["status"], data["job_id"]) == (1, "queued", job["id"])
        worker.complete(job["id"], {})
        rest = list(events)
    assert [version for version, _ in rest] == list(range(2, 2 + len(rest)))
    percents = [event["percent"] for _, event in rest]
    assert percents == sorted(percents)
    assert (rest[-1][1]["status"], rest[-1][1]["percent"]) == ("completed_with_warnings", 100.0)


def test_a_stream_is_taken_up_again_behind_the_last_event(
    client: httpx.Client, new_job: NewJob, worker: Worker
) -> None:
    """Nothing is told twice, nothing left out."""
    job = new_job()
    worker.complete(job["id"], {})
    with _stream(client, job["id"]) as events:
        everything = list(events)
    with _stream(client, job["id"], after=1) as events:
        assert list(events) == everything[1:]
    last = everything[-1][0]
    over = client.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": str(last)})
    assert (over.status_code, over.content) == (204, b"")


def test_a_retried_job_is_followed_to_its_new_end(client: httpx.Client, new_job: NewJob, worker: Worker) -> None:
    """The end of the first try is in the stream, but does not end it."""
    job = new_job()
    worker.fail(job["id"], Stage.DOWNLOAD, "source_not_found", "404")
    client.post(f"/v1/jobs/{job['id']}/retry").raise_for_status()
    with _stream(client, job["id"]) as events:
        told = [next(events)[1]["status"] for _ in range(3)]
        assert told == ["queued", "error", "queued"]
        client.post(f"/v1/jobs/{job['id']}/cancel").raise_for_status()
        assert [data["status"] for _, data in events] == ["cancelled"]


def test_two_streams_of_one_job_are_told_the_same(client: httpx.Client, new_job: NewJob, worker: Worker) -> None:
    """One connection to the database feeds them all."""
    job, heard = new_job(), [[], []]  # type: tuple[dict[str, Any], list[list[Any]]]

    def listen(place: int) -> None:
        with _stream(client, job["id"]) as events:
            for event in events:
                heard[place].append(event)

    threads = [threading.Thread(target=listen, args=(place,), daemon=True) for place in (0, 1)]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(heard), "both streams begin")
    worker.complete(job["id"], {})
    for thread in threads:
        thread.join(10.0)
    assert heard[0] == heard[1]
    assert heard[0][-1][1]["status"] == "completed_with_warnings"


@pytest.mark.parametrize("last", ["-1", "x", "99999999999"])
def test_a_last_event_that_is_no_version_is_refused(client: httpx.Client, new_job: NewJob, last: str) -> None:
    """It is a number we gave out, or a mistake."""
    answer = client.get(f"/v1/jobs/{new_job()['id']}/events", headers={"Last-Event-ID": last})
    assert answer.status_code == 422


def test_a_lost_listener_costs_nothing(client: httpx.Client, new_job: NewJob, worker: Worker, toolbox: Toolbox) -> None:
    """When the connection that listens is cut, an open stream still tells everything to the end."""
    job = new_job()
    with _stream(client, job["id"]) as events:
        next(events)
        with toolbox.ledger.database.begin() as connection:
            cut = connection.exec_driver_sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
            ).scalar_one()
        assert cut >= 1
        worker.complete(job["id"], {})
        assert list(events)[-1][1]["status"] == "completed_with_warnings"
