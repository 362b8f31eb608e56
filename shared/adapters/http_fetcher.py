"""Recordings from https addresses: streamed to disk, resumed after a dropped connection, bounded in size and time.

No message shows more of an address than its host: path and query may hold a signature.

How long an address that does not answer can take: a refusal or a dropped connection is tried four times within
seconds, a silence of `fetch_timeout_s` (10 s) once. The rest is the ledger's: its five attempts wait 5, 15, 45 and
135 s between them, so that a hanging address costs a worker 50 s and its job fails after about four minutes.
"""

import hashlib
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from shared.domain.errors import (
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceTooLarge,
    SourceUnavailable,
)
from shared.guard.addresses import AddressGuard, Resolver, check_url, resolve_by_system
from shared.guard.transport import Deadline, GuardedTransport
from shared.ports.media import Fetched
from shared.settings import Settings

_PIECE_BYTES = 256 * 1024  # one write, one look at whether to stop
_FRUITLESS_TRIES = 4  # in a row that brought less than a megabyte: the server will not get better within seconds
_PROGRESS_BYTES = 1_000_000
_REDIRECTS = 5  # storage services use one or two
_TRY_LATER = {408, 425, 429}  # beside every 5xx
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

OnBytes = Callable[[int, int | None], None]


class HttpFetcher:
    """Port `Fetcher`."""

    def __init__(
        self, settings: Settings, *, resolve: Resolver = resolve_by_system, certificates: ssl.SSLContext | None = None
    ) -> None:
        self._guard = AddressGuard(settings.fetch_allow_hosts, resolve)
        self._silence_s, self._total_s = settings.fetch_timeout_s, settings.fetch_total_s
        self._certificates = certificates

    def fetch(self, url: str, target: Path, *, max_bytes: int, on_progress: OnBytes) -> Fetched:
        address = check_url(url, self._guard.allow_hosts)
        deadline = Deadline.after(self._total_s)
        with self._client(deadline) as client, target.open("wb") as file:
            download = _Download(address, file, max_bytes, on_progress)
            for attempt in _retrying(download, deadline):
                with attempt, _explained(address.host, self._silence_s, deadline):
                    download.run(client)
        return Fetched(download.received, download.digest.hexdigest(), download.content_type)

    def _client(self, deadline: Deadline) -> httpx.Client:
        return httpx.Client(
            transport=GuardedTransport(self._guard, deadline, self._certificates),
            timeout=self._silence_s,
            follow_redirects=True,
            max_redirects=_REDIRECTS,
            trust_env=False,
            headers={"User-Agent": "VibeInsight", "Accept-Encoding": "identity"},
        )


class _Download:
    """What is on disk so far, and by what the rest is recognised as the same file."""

    def __init__(self, url: httpx.URL, file: IO[bytes], max_bytes: int, on_progress: OnBytes) -> None:
        self._url, self._file, self._max_bytes, self._on_progress = url, file, max_bytes, on_progress
        self.fruitless = 0
        self._restart()

    def run(self, client: httpx.Client) -> None:
        begun_at = self.received
        self.fruitless += 1
        try:
            with client.stream("GET", self._url, headers=self._headers()) as response:
                self._accept(response)
                for piece in response.iter_raw(_PIECE_BYTES):
                    self._keep(piece)
        finally:
            if self.received - begun_at >= _PROGRESS_BYTES:
                self.fruitless = 0

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.received, self.digest = 0, hashlib.sha256()
        self._total: int | None = None
        self._etag: str | None = None
        self._modified: str | None = None
        self.content_type: str | None = None

    def _headers(self) -> dict[str, str]:
        if not self.received:
            return {}
        strong = self._etag if self._etag and not self._etag.startswith("W/") else None
        validator = strong or self._modified
        return {"Range": f"bytes={self.received}-"} | ({"If-Range": validator} if validator else {})

    def _accept(self, response: httpx.Response) -> None:
        _refuse_status(response.status_code, self._url.host)
        if response.status_code == httpx.codes.PARTIAL_CONTENT and self._continues(response):
            return
        self._restart()
        if response.status_code != httpx.codes.OK:
            raise SourceUnavailable(f"{self._url.host} sent another part than was asked for")
        length = response.headers.get("Content-Length", "")
        self._total = int(length) if length.isdigit() else None
        self._etag, self._modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        self.content_type = response.headers.get("Content-Type")
        self._refuse_size(self._total or 0)

    def _continues(self, response: httpx.Response) -> bool:
        """The bytes after ours, of the file that we began with."""
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not self.received or found is None or int(found[1]) != self.received:
            return False
        same_length = self._total is None or found[2] in ("*", str(self._total))
        return same_length and response.headers.get("ETag", self._etag) == self._etag

    def _keep(self, piece: bytes) -> None:
        self._refuse_size(self.received + len(piece))
        self._file.write(piece)
        self.digest.update(piece)
        self.received += len(piece)
        self._on_progress(self.received, self._total)

    def _refuse_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise SourceTooLarge(
                f"The recording at {self._url.host} has more than {self._max_bytes / 1e6:.0f} MB, the limit"
            )


def _retrying(download: _Download, deadline: Deadline) -> Retrying:
    def spent(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        silent = isinstance(error, SourceUnavailable) and bool(error.details.get("silent"))
        return download.fruitless >= (1 if silent else _FRUITLESS_TRIES) or deadline.passed

    return Retrying(
        stop=spent,
        retry=retry_if_exception(lambda error: isinstance(error, SourceError) and error.retryable),
        wait=wait_random_exponential(multiplier=0.2, max=2.0),
        reraise=True,
    )


@contextmanager
def _explained(host: str, silence_s: float, deadline: Deadline) -> Iterator[None]:
    """Errors of the library as ours, without its messages: those show the whole address."""
    try:
        yield
    except httpx.TooManyRedirects as error:
        raise SourceRefused(f"{host} redirects more than {_REDIRECTS} times") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise SourceRefused(f"{host} redirects to something that is no https address") from error
    except httpx.TimeoutException as error:
        if deadline.passed:
            raise SourceUnavailable(f"The download from {host} took too long and was given up") from error
        raise SourceUnavailable(f"{host} was silent for {silence_s:g} s", silent=True) from error
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"The connection to {host} failed or was dropped") from error


def _refuse_status(status: int, host: str) -> None:
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise SourceNotFound(f"{host} says that there is no such file ({status})")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise SourceRefused(f"{host} refuses access ({status}): the link may have expired, or is not public")
    if status >= 500 or status in _TRY_LATER:
        raise SourceUnavailable(f"{host} cannot answer just now ({status})")
    if status >= 400 and status != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise SourceError(f"{host} does not give the file ({status})")
