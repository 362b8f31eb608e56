"""The download stage over a real store, a real web server and the real decoder."""

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stack import Stack
from pipelines.stages.download import download
from shared.adapters.ffmpeg import Ffmpeg
from shared.adapters.http_fetcher import HttpFetcher
from shared.adapters.s3 import S3ObjectStore
from shared.domain.audio import IntakeLimits, SourceAudio
from shared.domain.errors import (
    Cancelled,
    EmptyFile,
    InvalidInput,
    NotAudio,
    SourceNotFound,
    SourceRefused,
    SourceTooLarge,
    TooLong,
    TooShort,
)
from shared.domain.job import Source, SourceKind
from shared.ports.tick import Tick, no_tick
from shared.settings import Settings
from tests.media_files import encoded, noise, save
from tests.media_servers import scripted

pytestmark = pytest.mark.integration

LIMITS = IntakeLimits(max_bytes=2_000_000, max_duration_s=60, min_duration_s=0.5)


@pytest.fixture(scope="module")
def objects(servers: Stack) -> S3ObjectStore:
    store = S3ObjectStore(servers.settings)
    store.ensure_bucket()
    return store


@pytest.fixture
def key(objects: S3ObjectStore) -> Iterator[str]:
    prefix = f"uploads/{uuid.uuid4()}"
    yield f"{prefix}/session.m4a"
    objects.delete_prefix(prefix + "/")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return encoded(tmp_path, "session.m4a", noise(5))


def _download(
    source: Source,
    objects: S3ObjectStore,
    folder: Path,
    *,
    upload_key: str | None = None,
    allow: tuple[str, ...] = (),
    tick: Tick = no_tick,
) -> tuple[SourceAudio, Path]:
    workdir = folder / "work"
    workdir.mkdir(exist_ok=True)
    return download(
        source,
        fetcher=HttpFetcher(Settings(fetch_allow_hosts=allow)),
        objects=objects,
        media=Ffmpeg(Settings()),
        limits=LIMITS,
        workdir=workdir,
        upload_key=upload_key,
        tick=tick,
    )


def _uploaded(key: str, objects: S3ObjectStore, path: Path, folder: Path, tick: Tick = no_tick) -> SourceAudio:
    objects.put(key, path, "audio/mp4")
    source = Source(SourceKind.UPLOAD, str(uuid.uuid4()))
    return _download(source, objects, folder, upload_key=key, tick=tick)[0]


def test_an_upload_is_fetched_and_known(objects: S3ObjectStore, key: str, recording: Path, tmp_path: Path) -> None:
    """Digest, size and length are the file's, and the whole length is reported as done."""
    seen: list[float] = []
    found = _uploaded(key, objects, recording, tmp_path, tick=seen.append)
    assert found.sha256 == hashlib.sha256(recording.read_bytes()).hexdigest()
    assert (found.origin, found.facts.bytes) == ("upload", recording.stat().st_size)
    assert found.facts.duration_s == pytest.approx(5, abs=0.1)
    assert seen[-1] == found.facts.duration_s


def test_a_key_is_fetched(objects: S3ObjectStore, key: str, recording: Path, tmp_path: Path) -> None:
    """The bytes on disk are those in the store."""
    objects.put(key, recording, "audio/mp4")
    found, path = _download(Source(SourceKind.S3, key), objects, tmp_path)
    assert (found.origin, path.read_bytes()) == ("s3", recording.read_bytes())


@pytest.mark.parametrize(
    "bad", ["", "../secret", "uploads/../jobs/x", "/absolute", "a//b", "a/./b", "jobs/1/source", "a\\b", "a/\n"]
)
def test_a_key_that_is_not_plain_is_refused(objects: S3ObjectStore, bad: str, tmp_path: Path) -> None:
    """Nor is what our own stages left a source."""
    with pytest.raises(InvalidInput):
        _download(Source(SourceKind.S3, bad), objects, tmp_path)


def test_an_address_is_fetched(objects: S3ObjectStore, recording: Path, tmp_path: Path) -> None:
    """The document does not repeat the address."""
    with scripted(lambda to, n: to.whole(recording.read_bytes(), Content_Type="audio/mp4")) as server:
        source = Source(SourceKind.URL, f"http://{server.host}/a.m4a?signature=secret")
        found, _ = _download(source, objects, tmp_path, allow=(server.host,))
    assert found.origin == "url"
    assert found.sha256 == hashlib.sha256(recording.read_bytes()).hexdigest()
    assert "secret" not in repr(found)


def test_a_private_address_is_refused(objects: S3ObjectStore, tmp_path: Path) -> None:
    """Through the whole stage."""
    with pytest.raises(SourceRefused):
        _download(Source(SourceKind.URL, "https://169.254.169.254/latest/meta-data/"), objects, tmp_path)


def test_a_web_page_is_called_one(objects: S3ObjectStore, tmp_path: Path) -> None:
    """The link of a share page is the commonest mistake."""
    page = b"<!doctype html><title>Sign in</title>"
    with scripted(lambda to, n: to.whole(page, Content_Type="text/html; charset=utf-8")) as server:
        source = Source(SourceKind.URL, f"http://{server.host}/share")
        with pytest.raises(NotAudio, match="web page"):
            _download(source, objects, tmp_path, allow=(server.host,))


def test_what_is_not_there_any_more(objects: S3ObjectStore, key: str, tmp_path: Path) -> None:
    """The message says to upload it again."""
    with pytest.raises(SourceNotFound, match="upload it again"):
        _download(Source(SourceKind.UPLOAD, "x"), objects, tmp_path, upload_key=key)


def test_limits_are_kept(objects: S3ObjectStore, key: str, tmp_path: Path) -> None:
    """Empty, too large, too long and too short are told apart."""
    cases = {
        EmptyFile: b"",
        SourceTooLarge: b"x" * (LIMITS.max_bytes + 1),
        TooLong: encoded(tmp_path, "long.flac", noise(70, level=0)).read_bytes(),
        TooShort: save(tmp_path / "short.wav", noise(0.2)).read_bytes(),
    }
    for error, content in cases.items():
        (tmp_path / "content").write_bytes(content)
        with pytest.raises(error):
            _uploaded(key, objects, tmp_path / "content", tmp_path)


def test_stopping_ends_the_download(objects: S3ObjectStore, key: str, recording: Path, tmp_path: Path) -> None:
    """Between two pieces."""

    def tick(done_s: float) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        _uploaded(key, objects, recording, tmp_path, tick=tick)
