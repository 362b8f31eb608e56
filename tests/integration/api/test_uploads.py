"""Recordings on their way in: by signed addresses, and as a form."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from shared.domain.errors import NotFound
from shared.domain.ids import OwnerId, UploadId
from shared.toolbox import Toolbox
from tests.integration.api.harness import served

pytestmark = pytest.mark.integration

MIB = 1024**2
SMALL_CAP = 3 * MIB


def test_a_small_recording_goes_up_in_one_put(client: httpx.Client, toolbox: Toolbox, owner: OwnerId) -> None:
    """Signed address, bytes past us, completion, job."""
    upload = client.post("/v1/uploads", json={"filename": "会議 1.m4a", "content_type": "audio/mp4", "bytes": 11})
    assert upload.status_code == 201
    asked = upload.json()
    assert asked["method"] == "put"
    early = client.post(f"/v1/uploads/{asked['id']}/complete", json={})
    assert (early.status_code, early.json()["code"]) == (409, "conflict")
    assert client.post("/v1/jobs", json={"source": {"upload_id": asked["id"]}}).status_code == 409

    httpx.put(asked["url"], content=b"hello world", headers=asked["headers"]).raise_for_status()
    for _ in range(2):
        done = client.post(f"/v1/uploads/{asked['id']}/complete", json={})
        assert (done.status_code, done.json()["completed"]) == (200, True)
    job = client.post("/v1/jobs", json={"source": {"upload_id": asked["id"]}})
    assert (job.status_code, job.json()["filename"]) == (202, "会議 1.m4a")
    kept = toolbox.ledger.get_upload(owner, UploadId(asked["id"]))
    assert b"".join(toolbox.objects.stream(kept.key)) == b"hello world"


def test_a_large_recording_goes_up_in_parts(client: httpx.Client, toolbox: Toolbox, owner: OwnerId) -> None:
    """Over 64 MiB each part has its address, and the parts become one object."""
    size = 64 * MIB + 5
    asked = client.post("/v1/uploads", json={"filename": "long.wav", "bytes": size}).json()
    assert asked["method"] == "multipart"
    assert [part["number"] for part in asked["parts"]] == [1, 2, 3, 4, 5]
    assert (asked["parts"][-1]["first_byte"], asked["parts"][-1]["last_byte"]) == (64 * MIB, size - 1)
    etags = []
    for part in asked["parts"]:
        content = bytes([part["number"]]) * (part["last_byte"] - part["first_byte"] + 1)
        etags.append(httpx.put(part["url"], content=content, timeout=60.0).raise_for_status().headers["etag"])
    short = client.post(f"/v1/uploads/{asked['id']}/complete", json={"etags": etags[:-1]})
    assert (short.status_code, short.json()["code"]) == (422, "invalid_input")
    done = client.post(f"/v1/uploads/{asked['id']}/complete", json={"etags": etags}, timeout=60.0)
    assert (done.status_code, done.json()["completed"]) == (200, True)
    key = toolbox.ledger.get_upload(owner, UploadId(asked["id"])).key
    assert toolbox.objects.head(key).bytes == size
    assert b"".join(toolbox.objects.stream(key, 64 * MIB - 1, size - 1)) == b"\x04" + b"\x05" * 5


def test_completing_again_after_an_unheard_answer(client: httpx.Client, toolbox: Toolbox, owner: OwnerId) -> None:
    """The store had joined the parts, the ledger had not noted it: asking again ends well."""
    upload = toolbox.ledger.create_upload(owner, filename="a.wav", content_type="audio/wav", bytes=5)
    multipart_id, parts = toolbox.objects.start_multipart(upload.key, "audio/wav", 1, 60)
    toolbox.ledger.expect_parts(owner, upload.id, multipart_id)
    etag = httpx.put(parts[0].url, content=b"12345").raise_for_status().headers["etag"]
    toolbox.objects.complete_multipart(upload.key, multipart_id, [etag])
    answer = client.post(f"/v1/uploads/{upload.id}/complete", json={"etags": [etag]})
    assert (answer.status_code, answer.json()["completed"]) == (200, True)


def test_an_upload_of_another_size_is_dropped(client: httpx.Client, toolbox: Toolbox, owner: OwnerId) -> None:
    """Who declares 3 bytes and sends 9 has neither upload nor object."""
    asked = client.post("/v1/uploads", json={"filename": "a.wav", "bytes": 3}).json()
    key = toolbox.ledger.get_upload(owner, UploadId(asked["id"])).key
    httpx.put(asked["url"], content=b"123456789", headers=asked["headers"]).raise_for_status()
    answer = client.post(f"/v1/uploads/{asked['id']}/complete", json={})
    assert answer.status_code == 409
    assert (answer.json()["declared"], answer.json()["arrived"]) == (3, 9)
    assert client.post(f"/v1/uploads/{asked['id']}/complete", json={}).status_code == 404
    with pytest.raises(NotFound):
        toolbox.objects.head(key)


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"filename": "a.wav", "bytes": 0}, 422, "empty_file"),
        ({"filename": "a.wav", "bytes": 10**12}, 413, "payload_too_large"),
        ({"filename": "a.wav", "bytes": -1}, 422, "invalid_input"),
        ({"filename": "", "bytes": 1}, 422, "invalid_input"),
        ({"filename": "a\r\nb", "bytes": 1}, 422, "invalid_input"),
        ({"filename": "a.wav", "bytes": 1, "content_type": "audio/mp4\r\nX: y"}, 422, "invalid_input"),
    ],
)
def test_what_cannot_be_uploaded_is_refused_at_once(
    client: httpx.Client, wanted: dict[str, object], status: int, code: str
) -> None:
    """Nothing, too much, and names that are none."""
    answer = client.post("/v1/uploads", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_form_becomes_a_job(client: httpx.Client, toolbox: Toolbox, owner: OwnerId) -> None:
    """curl -F file=@… with fields before and behind; what is stored is what was sent, over several parts."""
    content = bytes(range(256)) * (40 * MIB // 256)  # more than two of the store's parts
    fields = {"language": "en", "roles": "coach,client", "options": '{"report_language": "ja"}', "session_id": "s-9"}
    answer = client.post("/v1/jobs/file", data=fields, files={"file": ("meet.m4a", content, "audio/mp4")}, timeout=60.0)
    assert answer.status_code == 202
    job = answer.json()
    assert (job["session_id"], job["source"], job["filename"]) == ("s-9", "upload", "meet.m4a")
    kept = toolbox.ledger.get_job(owner, job["id"])
    assert (kept.options.language, kept.options.roles, kept.options.report_language) == (
        "en",
        ("coach", "client"),
        "ja",
    )
    upload = toolbox.ledger.get_upload(owner, UploadId(kept.source.value))
    assert (upload.bytes, upload.completed, upload.content_type) == (len(content), True, "audio/mp4")
    assert b"".join(toolbox.objects.stream(upload.key)) == content


def test_the_same_file_with_the_same_key_is_one_job(client: httpx.Client, toolbox: Toolbox, owner: OwnerId) -> None:
    """A second sending leaves one job and one copy; other bytes under the same key are a conflict."""
    key = {"Idempotency-Key": "k"}
    first = client.post("/v1/jobs/file", files={"file": ("a.wav", b"same")}, headers=key)
    again = client.post("/v1/jobs/file", files={"file": ("a.wav", b"same")}, headers=key)
    other = client.post("/v1/jobs/file", files={"file": ("a.wav", b"else")}, headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert other.status_code == 409
    assert toolbox.objects.delete_prefix(f"uploads/{owner}/") == 1


@pytest.mark.parametrize(
    ("data", "files", "status", "code"),
    [
        ({}, {"file": ("a.wav", b"")}, 422, "empty_file"),
        ({}, {"audio": ("a.wav", b"abc")}, 422, "invalid_input"),
        ({"language": "xx"}, {"file": ("a.wav", b"abc")}, 422, "invalid_input"),
        ({"speakers": "99"}, {"file": ("a.wav", b"abc")}, 422, "invalid_input"),
        ({"options": "{"}, {"file": ("a.wav", b"abc")}, 422, "invalid_input"),
        ({"unknown": "1"}, {"file": ("a.wav", b"abc")}, 422, "invalid_input"),
    ],
)
def test_a_form_that_is_refused_leaves_nothing(
    client: httpx.Client,
    toolbox: Toolbox,
    owner: OwnerId,
    data: dict[str, str],
    files: dict[str, tuple[str, bytes]],
    status: int,
    code: str,
) -> None:
    """Neither a job nor an object stays behind."""
    answer = client.post("/v1/jobs/file", data=data, files=files)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.get("/v1/jobs").json()["jobs"] == []
    assert toolbox.objects.delete_prefix(f"uploads/{owner}/") == 0


def test_fields_behind_the_file_count_too(client: httpx.Client, toolbox: Toolbox, owner: OwnerId) -> None:
    """Forms may come in any order, so a wrong field that comes last is found and the file taken back."""
    body = b"".join(
        [
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nabc\r\n',
            b'--b\r\nContent-Disposition: form-data; name="speakers"\r\n\r\n99\r\n--b--\r\n',
        ]
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/jobs/file", content=body, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "speakers")
    assert toolbox.objects.delete_prefix(f"uploads/{owner}/") == 0


@pytest.fixture
def small(client: httpx.Client, toolbox: Toolbox) -> Iterator[httpx.Client]:
    """The owner's way to an API that takes 3 MiB."""
    capped = Toolbox(toolbox.settings.model_copy(update={"max_upload_bytes": SMALL_CAP}))
    with served(capped) as address, httpx.Client(base_url=address, headers=client.headers, timeout=30.0) as made:
        yield made


def test_a_file_over_the_limit_is_refused_by_its_declared_size(small: httpx.Client) -> None:
    """The length is in the header, so that nothing needs to be read."""
    answer = small.post("/v1/jobs/file", files={"file": ("a.wav", b"x" * (8 * MIB))})
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert answer.json()["max_bytes"] == SMALL_CAP


def test_a_file_over_the_limit_is_cut_off_when_no_size_is_declared(
    small: httpx.Client, toolbox: Toolbox, owner: OwnerId
) -> None:
    """A body without a length is counted as it comes, and what had been stored of it is taken back."""

    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        yield from (b"x" * MIB for _ in range(4))
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = small.post("/v1/jobs/file", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert toolbox.objects.delete_prefix(f"uploads/{owner}/") == 0


def test_without_a_key_a_file_is_not_read(address: str) -> None:
    """Authentication comes before the first byte of the body: a sender that waits is answered."""
    answered = threading.Event()

    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        answered.wait(10.0)

    headers = {"Content-Type": "multipart/form-data; boundary=b", "Transfer-Encoding": "chunked"}
    statuses: list[int] = []

    def send() -> None:
        with httpx.Client() as client:
            statuses.append(client.post(f"{address}/v1/jobs/file", content=body(), headers=headers).status_code)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    answered.set()
    sender.join(10.0)
    assert statuses == [401]
