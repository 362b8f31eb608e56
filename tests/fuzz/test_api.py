"""Every request that the OpenAPI document allows, and many that it does not, against the API as it is served."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import psutil
import pytest

from cli.servers.ports import free_ports
from shared.domain.ids import OwnerId
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.engine_lab import environment_of, wait_for
from tests.engine_processes import ROOT, kill_tree

pytestmark = pytest.mark.fuzz

SEED = os.environ.get("VIBEINSIGHT_FUZZ_SEED", "1")
EXAMPLES = os.environ.get("VIBEINSIGHT_FUZZ_EXAMPLES", "5")  # of each call; `make fuzz`: 100
SECONDS = int(os.environ.get("VIBEINSIGHT_FUZZ_SECONDS", "25"))  # of each kind; then it stops and says what it found
GRACE_S = 240  # to read the document and to write the report, on a machine that does other things too
# No 5xx, and every answer is one that the document promises: status, content type, body.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
STREAMS = ("followJob",)  # of a job that does not end it does not end either
HEALTH = ("health", "isReady")  # 503 is what they are there to say
# Addresses of ourselves in every spelling that a URL parser may fall for.
PRIVATE = (
    "https://127.0.0.1:{port}/",
    "https://localhost:{port}/",
    "https://localhost.:{port}/",
    "https://[::1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/",
    "https://2130706433:{port}/",
    "https://0x7f000001:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://127.1:{port}/",
    "https://0.0.0.0:{port}/",
    "https://0:{port}/",
    "https://[::]:{port}/",
    "https://user@127.0.0.1:{port}/",
    "https://example.com@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}#@example.com/",
    "https://127.0.0.1:{port}\\@example.com/",
    "https://①②⑦.⓪.⓪.①:{port}/",
    "https://127。0。0。1:{port}/",
    "https://127.0.0.1.nip.io:{port}/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1:{port}/",
    "https://192.168.0.1:{port}/",
    "http://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
)


class Canary:
    """Listens where nobody may call, on both loopbacks, and keeps who did."""

    def __init__(self) -> None:
        self._listeners = [socket.create_server(("127.0.0.1", 0))]
        self.port = int(self._listeners[0].getsockname()[1])
        if socket.has_dualstack_ipv6():
            self._listeners.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        self.calls: list[bytes] = []
        for listener in self._listeners:
            threading.Thread(target=self._listen, args=(listener,), daemon=True).start()

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                call, _ = listener.accept()
            except OSError:
                return
            with call:
                call.settimeout(1.0)
                self.calls.append(call.recv(100))


@pytest.fixture
def canary() -> Iterator[Canary]:
    singing = Canary()
    yield singing
    singing.close()


@pytest.fixture
def unlimited(settings: Settings) -> Settings:
    """The limits have tests of their own; here they would keep most requests out."""
    return settings.model_copy(update={"rate_limit_per_minute": 0, "address_rate_limit_per_minute": 0})


@pytest.fixture
def api(unlimited: Settings, tmp_path: Path) -> Iterator[str]:
    """In a process of its own, as it is served."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "api", "--port", str(port)]
    limits = {"VIBEINSIGHT_RATE_LIMIT_PER_MINUTE": "0", "VIBEINSIGHT_ADDRESS_RATE_LIMIT_PER_MINUTE": "0"}
    with (tmp_path / "api.log").open("w") as log:
        process = psutil.Popen(command, cwd=ROOT, env=environment_of(unlimited) | limits, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for("the API", lambda: _answers(url), deadline_s=180)
        yield url
        assert process.poll() is None, "the API has ended by itself"
    finally:
        kill_tree(process)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def key(toolbox: Toolbox, owner: OwnerId) -> str:
    return toolbox.ledger.create_api_key(owner, "fuzz")


def fuzz(api: str, key: str, folder: Path, *more: str) -> str:
    """Schemathesis over the document; what it says when something is wrong."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{api}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {key}", "--checks", CHECKS, "--seed", SEED]
    command += ["--max-examples", EXAMPLES, "--continue-on-failure", "--no-shrink", "--suppress-health-check", "all"]
    command += ["--request-timeout", "30", "--warnings", "off", "--no-color", *without(HEALTH), *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS + GRACE_S)
    (folder / "schemathesis.txt").write_text(done.stdout + done.stderr)
    return "" if done.returncode == 0 else done.stdout[-6000:] + done.stderr[-2000:]


def server_errors(folder: Path) -> list[str]:
    """What the API's own log says of requests that ended with 500."""
    lines = (folder / "api.log").read_text().splitlines()
    return [line[:1500] for line in lines if re.search(r'"status": 5\d\d', line) or "Traceback" in line]


def without(operations: Sequence[str]) -> list[str]:
    return [part for name in operations for part in ("--exclude-operation-id", name)]


def test_no_request_breaks_it(api: str, key: str, tmp_path: Path) -> None:
    """Each call with the edges of what the document allows, and just beyond them: no 5xx, only answers it promises."""
    assert fuzz(api, key, tmp_path, "--phases", "examples,coverage", *without(STREAMS)) == ""
    assert server_errors(tmp_path) == []


def test_no_accident_breaks_it(api: str, key: str, tmp_path: Path) -> None:
    """Each call with whatever hypothesis comes upon."""
    assert fuzz(api, key, tmp_path, "--phases", "fuzzing", "--max-time", str(SECONDS)) == ""
    assert server_errors(tmp_path) == []


def test_no_sequence_breaks_it(api: str, key: str, tmp_path: Path) -> None:
    """Calls that use what other calls gave: jobs that exist, uploads under way, webhooks and their deliveries."""
    wanted = ["--phases", "stateful", "--max-time", str(SECONDS), *without(STREAMS)]
    assert fuzz(api, key, tmp_path, *wanted) == ""
    assert server_errors(tmp_path) == []


def test_no_stranger_breaks_it(api: str, tmp_path: Path) -> None:
    """The same with a key that nobody was given: refused, and never with a 5xx."""
    assert fuzz(api, "vi_nobody", tmp_path, "--phases", "coverage", "--max-examples", "2") == ""


def test_no_private_address_is_called(api: str, key: str, canary: Canary, toolbox: Toolbox, tmp_path: Path) -> None:
    """Neither the API nor the download that would follow calls ourselves or our neighbours, however they are spelt."""
    from shared.domain.errors import VibeInsightError

    taken = []
    with httpx.Client(base_url=api, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        for form in PRIVATE:
            url = form.format(port=canary.port)
            answer = client.post("/v1/jobs", json={"source": {"url": url}})
            assert answer.status_code in (202, 422), f"{url}: {answer.status_code} {answer.text}"
            taken += [url] if answer.status_code == 202 else []
            body = {"session_id": "x", "audio_url": url, "user_id": "u"}
            assert client.post("/process-audio", json=body).status_code in (200, 202, 422), url
            hook = client.post("/v1/webhooks", json={"url": url})
            assert hook.status_code in (201, 404, 422), f"{url}: {hook.status_code} {hook.text}"
    for url in [form.format(port=canary.port) for form in PRIVATE]:
        with pytest.raises(VibeInsightError):
            toolbox.fetcher.fetch(url, tmp_path / "x", max_bytes=1000, on_progress=lambda received, total: None)
    assert canary.calls == [], f"taken by the API: {taken}"
