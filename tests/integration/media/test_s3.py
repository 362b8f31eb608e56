"""The object store against a real S3 server that checks signatures."""

import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from cli.stack import Stack
from shared.adapters.s3 import S3ObjectStore
from shared.domain.errors import InvalidInput, NotFound, SetupError, StorageUnavailable
from shared.settings import Settings
from tests.media_servers import cutting

pytestmark = pytest.mark.integration

LARGE = 20 * 1024**2  # goes up in two parts


@pytest.fixture(scope="module")
def objects(servers: Stack) -> S3ObjectStore:
    store = S3ObjectStore(servers.settings)
    store.ensure_bucket()
    return store


@pytest.fixture
def folder(objects: S3ObjectStore) -> Iterator[str]:
    prefix = f"tests/{uuid.uuid4()}"
    yield prefix
    objects.delete_prefix(prefix + "/")


def _file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


def test_a_file_comes_back_as_it_went(objects: S3ObjectStore, folder: str, tmp_path: Path) -> None:
    """Put then get gives the same bytes, and the facts say its size and type."""
    facts = objects.put(f"{folder}/a", _file(tmp_path, b"hello"), "audio/flac")
    objects.get(f"{folder}/a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"hello"
    assert (facts.bytes, facts.content_type) == (5, "audio/flac")
    assert objects.head(f"{folder}/a") == facts


def test_a_large_file_survives_the_parts(objects: S3ObjectStore, folder: str, tmp_path: Path) -> None:
    """What goes up in parts comes back whole."""
    content = os.urandom(LARGE)
    objects.put(f"{folder}/large", _file(tmp_path, content), "application/octet-stream")
    digest = hashlib.sha256()
    for piece in objects.stream(f"{folder}/large"):
        digest.update(piece)
    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()


def test_a_range_is_inclusive(objects: S3ObjectStore, folder: str, tmp_path: Path) -> None:
    """Both ends count, and each may be left out."""
    objects.put(f"{folder}/a", _file(tmp_path, b"0123456789"), "text/plain")
    assert b"".join(objects.stream(f"{folder}/a", 2, 4)) == b"234"
    assert b"".join(objects.stream(f"{folder}/a", 7)) == b"789"
    assert b"".join(objects.stream(f"{folder}/a", 0, 0)) == b"0"


def test_a_range_beyond_the_end_is_the_callers_mistake(objects: S3ObjectStore, folder: str, tmp_path: Path) -> None:
    """It is not taken for an outage."""
    objects.put(f"{folder}/a", _file(tmp_path, b"short"), "text/plain")
    with pytest.raises(InvalidInput):
        list(objects.stream(f"{folder}/a", 100, 200))


def test_a_missing_key_is_not_found(objects: S3ObjectStore, folder: str, tmp_path: Path) -> None:
    """Head, get and stream agree on it."""
    with pytest.raises(NotFound):
        objects.head(f"{folder}/none")
    with pytest.raises(NotFound):
        objects.get(f"{folder}/none", tmp_path / "x")
    with pytest.raises(NotFound):
        next(objects.stream(f"{folder}/none"))


def test_copy_leaves_the_first(objects: S3ObjectStore, folder: str, tmp_path: Path) -> None:
    """Afterwards both keys hold the same bytes."""
    objects.put(f"{folder}/a", _file(tmp_path, b"x" * 10), "text/plain")
    objects.copy(f"{folder}/a", f"{folder}/b")
    assert objects.head(f"{folder}/a").bytes == objects.head(f"{folder}/b").bytes == 10


def test_delete_prefix_takes_all_of_it_and_nothing_else(objects: S3ObjectStore, folder: str, tmp_path: Path) -> None:
    """A neighbour whose name begins alike stays."""
    file = _file(tmp_path, b"x")
    for key in ("job1/a", "job1/deep/b", "job10/c"):
        objects.put(f"{folder}/{key}", file, "text/plain")
    assert objects.delete_prefix(f"{folder}/job1/") == 2
    assert objects.head(f"{folder}/job10/c").bytes == 1
    assert objects.delete_prefix(f"{folder}/job1/") == 0


def test_an_empty_prefix_is_refused(objects: S3ObjectStore) -> None:
    """It would mean the whole bucket."""
    with pytest.raises(InvalidInput):
        objects.delete_prefix("/")


def test_presigned_addresses_work_without_a_key(objects: S3ObjectStore, folder: str) -> None:
    """Somebody with the address alone can put, and get under the name that we say."""
    put = httpx.put(
        objects.presign_put(f"{folder}/up", "audio/wav", 60), content=b"data", headers={"Content-Type": "audio/wav"}
    )
    got = httpx.get(objects.presign_get(f"{folder}/up", 60, filename="会議 1.wav"))
    assert (put.status_code, got.content) == (200, b"data")
    assert "%E4%BC%9A" in got.headers["Content-Disposition"]


def test_a_tampered_address_is_refused(objects: S3ObjectStore, folder: str) -> None:
    """The signature covers the key."""
    url = objects.presign_put(f"{folder}/mine", "audio/wav", 60).replace("/mine", "/yours")
    assert httpx.put(url, content=b"x", headers={"Content-Type": "audio/wav"}).status_code == 403


def test_a_browser_uploads_in_parts(objects: S3ObjectStore, folder: str) -> None:
    """Parts put to presigned addresses become one object, in order."""
    contents = [os.urandom(5 * 1024**2), b"the end"]
    upload, parts = objects.start_multipart(f"{folder}/parts", "audio/wav", len(contents), 60)
    etags = [httpx.put(part.url, content=body).headers["ETag"] for part, body in zip(parts, contents, strict=True)]
    facts = objects.complete_multipart(f"{folder}/parts", upload, etags)
    assert facts.bytes == sum(map(len, contents))
    assert b"".join(objects.stream(f"{folder}/parts", 5 * 1024**2)) == b"the end"


def test_completing_with_wrong_parts_is_the_callers_mistake(objects: S3ObjectStore, folder: str) -> None:
    """Wrong etags are not taken for an outage, and an unknown upload is not found."""
    upload, parts = objects.start_multipart(f"{folder}/parts", "audio/wav", 1, 60)
    httpx.put(parts[0].url, content=b"one")
    with pytest.raises(InvalidInput):
        objects.complete_multipart(f"{folder}/parts", upload, ['"00000000000000000000000000000000"'])
    with pytest.raises(NotFound):
        objects.complete_multipart(f"{folder}/parts", uuid.uuid4().hex, ['"00000000000000000000000000000000"'])


def test_our_pages_may_upload(objects: S3ObjectStore, servers: Stack, folder: str) -> None:
    """The preflight of our own origin passes, that of a stranger does not."""
    url = objects.presign_put(f"{folder}/up", "audio/wav", 60)
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    ours = httpx.options(url, headers=asked | {"Origin": servers.settings.public_url})
    theirs = httpx.options(url, headers=asked | {"Origin": "https://stranger.example"})
    assert ours.headers.get("Access-Control-Allow-Origin") == servers.settings.public_url
    assert "Access-Control-Allow-Origin" not in theirs.headers


def test_ping_tells_a_wrong_secret(servers: Stack) -> None:
    """A store that refuses us is as unavailable as one that is down, and the secret is not in the message."""
    wrong = servers.settings.model_copy(update={"s3_secret_key": SecretStr("wrong-secret-wrong-secret")})
    S3ObjectStore(servers.settings).ping()
    with pytest.raises(StorageUnavailable) as caught:
        S3ObjectStore(wrong).ping()
    assert "wrong-secret" not in str(caught.value)


def test_ping_tells_a_missing_bucket(servers: Stack) -> None:
    """The message says what to create."""
    other = servers.settings.model_copy(update={"s3_bucket": "no-such-bucket"})
    with pytest.raises(StorageUnavailable, match="no-such-bucket"):
        S3ObjectStore(other).ping()


def test_a_store_that_is_down_is_unavailable(servers: Stack, free_port: int) -> None:
    """Another try may help, so the error says so."""
    down = servers.settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{free_port}"})
    with pytest.raises(StorageUnavailable) as caught:
        S3ObjectStore(down).head("x")
    assert caught.value.retryable


def test_reading_goes_on_after_a_dropped_connection(
    servers: Stack, objects: S3ObjectStore, folder: str, tmp_path: Path
) -> None:
    """Three cuts in one object, and every byte arrives once."""
    content = os.urandom(6_000_000)
    objects.put(f"{folder}/long", _file(tmp_path, content), "audio/flac")
    direct = urlsplit(servers.settings.s3_endpoint_url or "")
    with cutting((str(direct.hostname), direct.port or 0), after=1_500_000, cuts=3) as proxy:
        through = servers.settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{proxy.port}"})
        assert b"".join(S3ObjectStore(through).stream(f"{folder}/long")) == content
        assert proxy.cut_so_far == 3


def test_no_store_configured_says_what_to_set() -> None:
    """Building it opens nothing; using it names the settings that are missing."""
    store = S3ObjectStore(Settings(s3_access_key=None, s3_secret_key=None))
    with pytest.raises(SetupError, match="S3_ENDPOINT_URL"):
        store.ping()
