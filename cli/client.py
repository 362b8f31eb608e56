"""The public HTTP API from the outside: what the command line knows of a running VibeInsight."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import httpx

from shared.domain.errors import VibeInsightError

CONNECT_S = 5.0
ANSWER_S = 60.0  # an upload is stored before the answer comes
SILENCE_S = 60.0  # the event stream pings every 15


class ApiUnreachable(VibeInsightError):
    """No answer at all."""

    code = "api_unreachable"


class ApiRefused(VibeInsightError):
    """The API's own error, in its own words."""

    code = "api_refused"


@dataclass(frozen=True)
class Address:
    """Where a VibeInsight is, and the key to it."""

    url: str
    key: str


@dataclass(frozen=True)
class Event:
    id: str
    data: dict[str, Any]


def _refusal(response: httpx.Response) -> ApiRefused:
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    text = problem.get("detail") or problem.get("title") or f"HTTP {response.status_code}"
    refused = ApiRefused(str(text), status=response.status_code)
    refused.code = str(problem.get("code", f"http_{response.status_code}"))
    return refused


class Client:
    """One session with the API. Every failure is an ApiUnreachable or an ApiRefused."""

    def __init__(self, address: Address) -> None:
        self.url = address.url.rstrip("/")
        loopback = httpx.URL(self.url).host in ("127.0.0.1", "localhost", "::1")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {address.key}"},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            trust_env=not loopback,  # the machine's proxy is not for its own loopback
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def is_ready(self) -> bool:
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def create_from_file(self, path: Path, file: BinaryIO, fields: dict[str, Any]) -> dict[str, Any]:
        """The file is streamed, so its size costs no memory."""
        form = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
        return self._json("POST", "/v1/jobs/file", data=form, files={"file": (path.name, file)})

    def create_from_url(self, url: str, fields: dict[str, Any]) -> dict[str, Any]:
        return self._json("POST", "/v1/jobs", json={"source": {"url": url}, **fields})

    def job(self, job_id: str) -> dict[str, Any]:
        return self._json("GET", f"/v1/jobs/{job_id}")

    def jobs(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._json("GET", "/v1/jobs")["jobs"]
        return listed

    def result(self, job_id: str) -> dict[str, Any]:
        return self._json("GET", f"/v1/jobs/{job_id}/result")

    def report(self, job_id: str, kind: str) -> bytes:
        return self._bytes(f"/v1/jobs/{job_id}/report", kind)

    def transcript(self, job_id: str, kind: str) -> bytes:
        return self._bytes(f"/v1/jobs/{job_id}/transcript", kind)

    def events(self, job_id: str, after: str | None) -> Iterator[Event]:
        """Progress as it comes, from behind `after` on; ends when the server closes the stream."""
        headers = {"Last-Event-ID": after} if after else {}
        timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
        with (
            _translated(self.url),
            self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers, timeout=timeout) as response,
        ):
            if response.is_error:
                response.read()
                raise _refusal(response)
            yield from parse_events(response.iter_lines())

    def _bytes(self, path: str, kind: str) -> bytes:
        return self._ask("GET", path, params={"format": kind}).content

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._ask(method, path, **options).json()
        return answer

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        with _translated(self.url):
            response = self._http.request(method, path, **options)
        if response.is_error:
            raise _refusal(response)
        return response


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise ApiUnreachable(
            f"{url} does not answer ({type(error).__name__}). Is it running? `vibeinsight up` starts it."
        ) from error


def parse_events(lines: Iterator[str]) -> Iterator[Event]:
    """Server-Sent Events: fields up to an empty line; comments keep the connection alive."""
    event_id, data = "", list[str]()
    for line in lines:
        if not line:
            if data:
                yield Event(event_id, json.loads("\n".join(data)))
            data = []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            event_id = value
        elif name == "data":
            data.append(value)
