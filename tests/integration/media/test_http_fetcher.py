"""Fetching from servers that misbehave. All of them are real, on the loopback."""

import hashlib
import os
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.adapters.http_fetcher import HttpFetcher
from shared.domain.errors import (
    Cancelled,
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceTooLarge,
    SourceUnavailable,
)
from shared.ports.media import Fetched
from shared.settings import Settings
from tests.media_servers import Answering, ScriptedServer, scripted

pytestmark = pytest.mark.integration

CONTENT = os.urandom(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
SECRET = "token=very-secret"
SELF_SIGNED = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
SELF_SIGNED += ["-subj", "/CN=files.test", "-addext", "subjectAltName=DNS:files.test"]
SELF_SIGNED += ["-keyout", "key.pem", "-out", "cert.pem"]


def _settings(server: ScriptedServer, **changes: object) -> Settings:
    return Settings(**{"fetch_allow_hosts": (server.host,), "fetch_timeout_s": 0.3, "fetch_total_s": 20.0, **changes})


def _fetch(
    server: ScriptedServer,
    tmp_path: Path,
    *,
    max_bytes: int = 10_000_000,
    on_progress: Callable[[int, int | None], None] = lambda received, total: None,
    **changes: object,
) -> Fetched:
    url = f"http://{server.host}/private/a.mp3?{SECRET}"
    fetcher = HttpFetcher(_settings(server, **changes))
    return fetcher.fetch(url, tmp_path / "got", max_bytes=max_bytes, on_progress=on_progress)


def test_a_file_arrives_with_its_digest(tmp_path: Path) -> None:
    """Bytes, digest and type are those of the file, and progress ends at its size."""
    seen: list[tuple[int, int | None]] = []
    with scripted(lambda to, n: to.whole(CONTENT, Content_Type="audio/mpeg")) as server:
        fetched = _fetch(server, tmp_path, on_progress=lambda *step: seen.append(step))
    assert fetched == Fetched(len(CONTENT), DIGEST, "audio/mpeg")
    assert (tmp_path / "got").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, SourceNotFound),
        (410, SourceNotFound),
        (401, SourceRefused),
        (403, SourceRefused),
        (418, SourceError),
        (503, SourceUnavailable),
        (429, SourceUnavailable),
    ],
)
def test_a_refusal_is_told_without_the_signature(status: int, error: type[SourceError], tmp_path: Path) -> None:
    """The message names the host and the status, never the path or the query."""
    with scripted(lambda to, n: to.whole(b"no", status)) as server, pytest.raises(error) as caught:
        _fetch(server, tmp_path)
    assert str(status) in caught.value.message
    assert "secret" not in caught.value.message
    assert "private" not in caught.value.message


def test_an_outage_is_tried_again_a_few_times(tmp_path: Path) -> None:
    """One bad answer is forgotten; a server that stays down is given up."""
    with scripted(lambda to, n: to.whole(b"", 503) if n == 1 else to.whole(CONTENT)) as server:
        assert _fetch(server, tmp_path).sha256 == DIGEST
        assert len(server.asked) == 2
    with scripted(lambda to, n: to.whole(b"", 503)) as server:
        with pytest.raises(SourceUnavailable):
            _fetch(server, tmp_path)
        assert len(server.asked) == 4


def test_what_is_not_there_is_asked_for_once(tmp_path: Path) -> None:
    """Another try would say the same."""
    with scripted(lambda to, n: to.whole(b"", 404)) as server:
        with pytest.raises(SourceNotFound):
            _fetch(server, tmp_path)
        assert len(server.asked) == 1


def test_a_server_that_hangs_is_given_up(tmp_path: Path) -> None:
    """After one silence: the next try is the ledger's, minutes later, and holds no worker meanwhile."""
    with scripted(lambda to, n: time.sleep(0.5)) as server:
        with pytest.raises(SourceUnavailable, match="silent"):
            _fetch(server, tmp_path)
        assert len(server.asked) == 1


def test_a_port_where_nobody_listens(free_port: int, tmp_path: Path) -> None:
    """It may be there in a minute: another try of the job can help."""
    host = f"127.0.0.1:{free_port}"
    fetcher = HttpFetcher(Settings(fetch_allow_hosts=(host,)))
    with pytest.raises(SourceUnavailable) as caught:
        fetcher.fetch(f"http://{host}/a", tmp_path / "got", max_bytes=1, on_progress=lambda *step: None)
    assert caught.value.retryable


def test_a_size_over_the_limit_is_refused_by_the_header(tmp_path: Path) -> None:
    """Ten gigabytes are not begun."""

    def ten_gigabytes(to: Answering, n: int) -> None:
        to.begin(200, Content_Length=str(10 * 10**9))
        to.wfile.write(b"x" * 1000)

    with scripted(ten_gigabytes) as server, pytest.raises(SourceTooLarge):
        _fetch(server, tmp_path)
    assert (tmp_path / "got").stat().st_size == 0


def test_a_body_without_end_is_refused_by_counting(tmp_path: Path) -> None:
    """A server that states no length cannot fill the disk."""

    def endless(to: Answering, n: int) -> None:
        to.begin(200, Connection="close")
        while True:
            to.wfile.write(b"x" * 65_536)

    with scripted(endless) as server, pytest.raises(SourceTooLarge):
        _fetch(server, tmp_path, max_bytes=2_000_000)
    assert (tmp_path / "got").stat().st_size <= 2_000_000


def test_a_trickle_ends_at_the_time_limit(tmp_path: Path) -> None:
    """Each byte comes in time, all of them never: headers that trickle count, too."""

    def trickle(to: Answering, n: int) -> None:
        to.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(1000):
            to.wfile.write(f"X-{number}: y\r\n".encode())
            time.sleep(0.05)

    with scripted(trickle) as server, pytest.raises(SourceUnavailable, match="too long"):
        _fetch(server, tmp_path, fetch_total_s=0.6)


class Dropping:
    """Drops the first connections after a third of the file; answers Range as told."""

    def __init__(
        self, *, drops: int = 1, ranges: bool = True, etag: str | None = '"v1"', changes: bool = False
    ) -> None:
        self.drops, self.ranges, self.etag, self.changes = drops, ranges, etag, changes

    def __call__(self, to: Answering, n: int) -> None:
        asked = to.headers.get("Range")
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        etag = '"v2"' if self.changes and n > 1 else self.etag
        if self.etag and to.headers.get("If-Range") not in (None, etag):
            first = 0
        headers = {"Content_Length": str(len(CONTENT) - first)} | ({"ETag": etag} if etag else {})
        if first:
            headers["Content_Range"] = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
        to.begin(206 if first else 200, **headers)
        to.wfile.write(CONTENT[first : first + 1_200_000] if n <= self.drops else CONTENT[first:])


def test_a_dropped_connection_is_resumed(tmp_path: Path) -> None:
    """The second request asks for the rest alone, of the same version."""
    with scripted(Dropping()) as server:
        assert _fetch(server, tmp_path).sha256 == DIGEST
        again = server.asked[1].headers
    assert again["If-Range"] == '"v1"'
    assert int(again["Range"].removeprefix("bytes=").rstrip("-")) > 0
    assert (tmp_path / "got").read_bytes() == CONTENT


def test_every_drop_that_brought_something_is_resumed(tmp_path: Path) -> None:
    """Only tries without progress are counted."""
    with scripted(Dropping(drops=2)) as server:
        assert _fetch(server, tmp_path).sha256 == DIGEST
        assert len(server.asked) == 3


def test_a_server_without_ranges_begins_again(tmp_path: Path) -> None:
    """A 200 in answer to a Range is the whole file, not the rest."""
    with scripted(Dropping(ranges=False)) as server:
        assert _fetch(server, tmp_path).sha256 == DIGEST


def test_a_server_without_versions_is_resumed_by_length(tmp_path: Path) -> None:
    """Without an ETag the total length must be the same."""
    with scripted(Dropping(etag=None)) as server:
        assert _fetch(server, tmp_path).sha256 == DIGEST
        assert "If-Range" not in server.asked[1].headers


def test_a_file_that_changed_meanwhile_begins_again(tmp_path: Path) -> None:
    """Two versions are never glued together."""
    with scripted(Dropping(changes=True)) as server:
        assert _fetch(server, tmp_path).sha256 == DIGEST


def test_a_wrong_part_is_not_appended(tmp_path: Path) -> None:
    """A 206 that begins elsewhere throws away what we have."""

    def wrong(to: Answering, n: int) -> None:
        if n == 2:
            to.begin(206, Content_Length="10", Content_Range=f"bytes 5-14/{len(CONTENT)}")
            to.wfile.write(CONTENT[5:15])
        else:
            Dropping()(to, n)

    with scripted(wrong) as server:
        assert _fetch(server, tmp_path).sha256 == DIGEST
        assert "Range" not in server.asked[2].headers


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:1/x",
        "https://127.0.0.1:1/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:127.0.0.1]/x",
        "https://user:secret@example.com/x",
        "file:///etc/passwd",
    ],
)
def test_a_redirect_into_our_own_network_is_refused(target: str, tmp_path: Path) -> None:
    """Every redirect is checked like the address itself."""
    with scripted(lambda to, n: to.whole(b"", 302, Location=target)) as server:
        with pytest.raises(SourceRefused) as caught:
            _fetch(server, tmp_path)
        assert len(server.asked) == 1
    assert "secret" not in caught.value.message


def test_redirects_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    """One is usual; a circle is refused."""
    with scripted(lambda to, n: to.whole(b"", 302, Location="/b") if to.path != "/b" else to.whole(CONTENT)) as server:
        assert _fetch(server, tmp_path).sha256 == DIGEST
    with scripted(lambda to, n: to.whole(b"", 302, Location="/again")) as server, pytest.raises(SourceRefused):
        _fetch(server, tmp_path)


def test_a_name_that_resolves_to_the_loopback_is_refused(tmp_path: Path) -> None:
    """Nothing is sent to it."""
    with scripted(lambda to, n: to.whole(CONTENT)) as server:
        fetcher = HttpFetcher(Settings(), resolve=lambda host, port: ["127.0.0.1"])
        with pytest.raises(SourceRefused):
            fetcher.fetch(
                f"https://rebind.example:{server.server_port}/a",
                tmp_path / "got",
                max_bytes=1,
                on_progress=lambda *step: None,
            )
        assert server.asked == []


def test_the_address_that_was_checked_is_the_one_connected_to(tmp_path: Path) -> None:
    """A name is resolved once a connection; what it would say a moment later does not matter."""
    answers = iter([["127.0.0.1"]])
    with scripted(lambda to, n: to.whole(CONTENT)) as server:
        host = f"files.test:{server.server_port}"
        fetcher = HttpFetcher(Settings(fetch_allow_hosts=(host,)), resolve=lambda host, port: next(answers))
        fetcher.fetch(f"http://{host}/a", tmp_path / "got", max_bytes=10**7, on_progress=lambda *step: None)
        assert server.asked[0].headers["Host"] == host
    assert next(answers, None) is None


def test_stopping_ends_the_download(tmp_path: Path) -> None:
    """What the progress callback raises comes out, and nothing is tried again."""

    def stop(received: int, total: int | None) -> None:
        raise Cancelled("stop")

    with scripted(lambda to, n: to.whole(CONTENT)) as server:
        with pytest.raises(Cancelled):
            _fetch(server, tmp_path, on_progress=stop)
        assert len(server.asked) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    try:
        subprocess.run(["openssl", *SELF_SIGNED], cwd=folder, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs the openssl command to make a certificate")
    return folder


def test_tls_keeps_the_name_while_the_address_is_pinned(certificate: Path, tmp_path: Path) -> None:
    """The certificate is checked against the name, although the connection goes to an address; a stranger's fails."""
    trusted = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    with scripted(lambda to, n: to.whole(CONTENT)) as server:
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        server.socket = own.wrap_socket(server.socket, server_side=True)
        for name, certificates, fails in (
            ("files.test", trusted, False),
            ("other.test", trusted, True),
            ("files.test", None, True),
        ):
            host = f"{name}:{server.server_port}"
            fetcher = HttpFetcher(
                Settings(fetch_allow_hosts=(host,)),
                resolve=lambda host, port: ["127.0.0.1"],
                certificates=certificates,
            )
            target = tmp_path / "got"
            if fails:
                with pytest.raises(SourceRefused, match="certificate"):
                    fetcher.fetch(f"https://{host}/a", target, max_bytes=10**7, on_progress=lambda *step: None)
            else:
                got = fetcher.fetch(f"https://{host}/a", target, max_bytes=10**7, on_progress=lambda *step: None)
                assert got.sha256 == DIGEST
