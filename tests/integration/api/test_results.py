"""What a finished job left, over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.domain.ids import OwnerId
from shared.domain.job import Stage
from shared.toolbox import Toolbox
from tests.integration.api.conversation import result_of
from tests.integration.api.harness import Worker

pytestmark = pytest.mark.integration

NewJob = Callable[..., dict[str, Any]]
SOUND = bytes(range(256)) * 40


@pytest.mark.parametrize("what", ["result", "transcript", "report", "summary-audio"])
def test_a_result_that_is_not_there_yet_is_a_conflict(client: httpx.Client, new_job: NewJob, what: str) -> None:
    """Not 404: the job is known, it is only not done."""
    answer = client.get(f"/v1/jobs/{new_job()['id']}/{what}")
    assert (answer.status_code, answer.json()["code"]) == (409, "result_not_ready")


def test_the_result_is_the_document(client: httpx.Client, new_job: NewJob, worker: Worker) -> None:
    """As the last stage left it, with the ledger's account of the job."""
    job = new_job()
    worker.complete(job["id"], {"schema": "vibeinsight.result/1", "job": {}})
    document = client.get(f"/v1/jobs/{job['id']}/result").json()
    assert document["schema"] == "vibeinsight.result/1"
    assert (document["job"]["id"], document["job"]["status"]) == (job["id"], "completed_with_warnings")


@pytest.fixture
def audio(new_job: NewJob, worker: Worker) -> str:
    """Where the prepared recording of a job is."""
    job = new_job()
    worker.finish(job["id"], Stage.DOWNLOAD, source=b"original")
    worker.finish(job["id"], Stage.PREPROCESS, audio_flac=SOUND)
    return f"/v1/jobs/{job['id']}/audio"


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("bytes=0-99", 0, 99), ("bytes=10000-", 10000, 10239), ("bytes=-1", 10239, 10239), ("bytes=5-99999", 5, 10239)],
)
def test_audio_is_served_by_range(client: httpx.Client, audio: str, wanted: str, first: int, last: int) -> None:
    """Players seek: exactly the bytes asked for come, and say where they belong."""
    answer = client.get(audio, headers={"Range": wanted})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(SOUND)}"
    assert answer.content == SOUND[first : last + 1]
    assert answer.headers["content-type"] == "audio/flac"


def test_audio_is_served_whole_and_not_twice(client: httpx.Client, audio: str) -> None:
    """Without a range all of it; with its ETag nothing; with another's If-Range all of it."""
    whole = client.get(audio)
    assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, SOUND, "bytes")
    etag = whole.headers["etag"]
    assert client.get(audio, headers={"If-None-Match": etag}).status_code == 304
    assert client.get(audio, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert client.get(audio, headers={"Range": "bytes=0-1", "If-Range": '"old"'}).content == SOUND


def test_a_range_behind_the_end_is_refused(client: httpx.Client, audio: str) -> None:
    """416 tells how long the recording is."""
    answer = client.get(audio, headers={"Range": "bytes=10240-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10240")
    assert answer.json()["code"] == "range_not_satisfiable"


def test_before_it_is_prepared_the_recording_is_served_as_it_came(
    client: httpx.Client, new_job: NewJob, worker: Worker
) -> None:
    """First nothing, then the source."""
    job = new_job()
    early = client.get(f"/v1/jobs/{job['id']}/audio")
    assert (early.status_code, early.json()["code"]) == (409, "audio_not_ready")
    worker.finish(job["id"], Stage.DOWNLOAD, source=b"original")
    assert client.get(f"/v1/jobs/{job['id']}/audio").content == b"original"


def test_the_spoken_summary_is_served_where_there_is_one(client: httpx.Client, new_job: NewJob, worker: Worker) -> None:
    """A job without one says 404 of it."""
    spoken, silent = new_job(), new_job()
    worker.complete(spoken["id"], {}, summary_flac=b"fLaC-summary")
    worker.complete(silent["id"], {})
    assert client.get(f"/v1/jobs/{spoken['id']}/summary-audio").content == b"fLaC-summary"
    assert client.get(f"/v1/jobs/{silent['id']}/summary-audio").status_code == 404


@pytest.mark.parametrize(("what", "kind"), [("transcript", "pdf"), ("report", "docx"), ("transcript", "")])
def test_an_unknown_format_is_refused(client: httpx.Client, new_job: NewJob, what: str, kind: str) -> None:
    """The formats are a list, and the answer names the field."""
    answer = client.get(f"/v1/jobs/{new_job()['id']}/{what}", params={"format": kind})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "format")


@pytest.fixture
def talked(
    client: httpx.Client, new_job: NewJob, worker: Worker, toolbox: Toolbox, owner: OwnerId, tmp_path: Path
) -> str:
    """Where the results of a short conversation are."""
    job_id = new_job(language="en", roles=["coach", "client"])["id"]
    worker.complete(job_id, result_of(toolbox.ledger.get_job(owner, job_id), tmp_path))
    return f"/v1/jobs/{job_id}"


@pytest.mark.parametrize(
    ("kind", "media_type", "begins"),
    [
        ("json", "application/json", b"{"),
        ("srt", "application/x-subrip", b"1\n00:00:00,000 --> "),
        ("vtt", "text/vtt", b"WEBVTT"),
        ("txt", "text/plain", b""),
        ("csv", "text/csv", b""),
        ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK"),
    ],
)
def test_the_transcript_comes_in_every_format(
    client: httpx.Client, talked: str, kind: str, media_type: str, begins: bytes
) -> None:
    """As its own type, with a name to save it under, and with the words in it."""
    answer = client.get(f"{talked}/transcript", params={"format": kind})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert f".{kind}" in answer.headers["content-disposition"]
    assert answer.content.startswith(begins)
    assert kind == "docx" or "talk about today" in answer.text


@pytest.mark.parametrize(
    ("kind", "media_type"), [("json", "application/json"), ("md", "text/markdown"), ("html", "text/html")]
)
def test_the_report_comes_in_every_format(client: httpx.Client, talked: str, kind: str, media_type: str) -> None:
    """Whatever was said in the conversation, the page does not run it."""
    answer = client.get(f"{talked}/report", params={"format": kind})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == media_type
    if kind == "html":
        assert "<script>alert" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
