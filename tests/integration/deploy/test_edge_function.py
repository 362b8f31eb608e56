"""The Edge Function: checked by Deno, and served by Deno in front of the real API.

Only Supabase itself is stood in for: a few lines that know one token and sign one address.
"""

import json
import os
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from cli.servers.ports import free_ports
from cli.stack import Stack
from shared.domain.ids import OwnerId
from shared.domain.job import SourceKind
from shared.settings import Settings
from shared.toolbox import Toolbox

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
FUNCTION = ROOT / "supabase/functions/trigger-audio-processing"
DENO = Path(sysconfig.get_path("scripts")) / "deno"
USER, TOKEN = "6b1f3c7e-55a0-4a43-9f0c-0d1d6a3f7a11", "token-of-the-user"
STARTS_WITHIN_S = 60  # imports on a busy machine


def _environment(**more: str) -> dict[str, str]:
    cache = os.environ.get("DENO_DIR", str(ROOT / ".cache/deno"))
    return os.environ | {"DENO_DIR": cache, "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"} | more


def _deno(*arguments: str) -> str:
    ran = subprocess.run(
        [DENO, *arguments], cwd=FUNCTION, env=_environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def _packages() -> None:
    """The locked npm packages are in Deno's cache; everything after this needs no network."""
    _deno("install", "--frozen")


@pytest.mark.usefixtures("_packages")
@pytest.mark.parametrize("words", ["check index.ts index_test.ts", "lint", "fmt --check"], ids=lambda text: text[:5])
def test_the_function_is_sound(words: str) -> None:
    """Types, lint and layout are as Deno wants them."""
    _deno(*words.split())


@pytest.mark.usefixtures("_packages")
def test_the_functions_own_tests_pass() -> None:
    """Deno runs them without network, with no right but the loopback and the environment."""
    said = _deno("test", "--frozen", "--cached-only", "--allow-env", "--allow-net=127.0.0.1")
    assert " 0 failed" in said


def test_imports_come_from_npm_alone() -> None:
    """No address and no other registry, in the function or in its lock."""
    for name in ("index.ts", "index_test.ts", "deno.json", "deno.lock"):
        text = (FUNCTION / name).read_text()
        assert not any(word in text for word in ('from "http', "jsr:", "deno.land", "esm.sh"))


class _Supabase(BaseHTTPRequestHandler):
    """Auth knows one token; Storage signs every path of who brings it."""

    def _answer(self, status: int, body: Mapping[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        if self.headers["Authorization"] == f"Bearer {TOKEN}":
            self._answer(200, {"id": USER, "aud": "authenticated", "role": "authenticated"})
        else:
            self._answer(401, {"code": 401, "error_code": "bad_jwt", "msg": "invalid JWT"})

    def log_message(self, *_: object) -> None:
        """Not among the tests' output."""


@pytest.fixture
def supabase() -> Iterator[str]:
    """Where the stand-in for Supabase answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Supabase)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass(frozen=True)
class _Process:
    """A child and where it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_until_it_answers(self, url: str) -> None:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                httpx.get(url, timeout=2)
                return
            except httpx.TransportError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def _start(command: list[str | Path], environment: Mapping[str, str], log: Path) -> _Process:
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    return _Process(process, log)


def _secret(settings: Settings, name: str) -> str:
    return str(getattr(settings, name).get_secret_value())


@pytest.fixture
def api(stack: Stack, settings: Settings, tmp_path: Path) -> Iterator[str]:
    """The real API in a process of its own, on this test's database."""
    (port,) = free_ports(1)
    own = {f"VIBEINSIGHT_{name.upper()}": _secret(settings, name) for name in ("database_url", "redis_url")}
    command = ["-m", "uvicorn", "api.app:create_app", "--factory", "--host", "127.0.0.1", "--port", str(port)]
    server = _start([sys.executable, *command], stack.environment | own, tmp_path / "api.log")
    try:
        server.wait_until_it_answers(f"http://127.0.0.1:{port}/livez")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


@pytest.fixture
def function(
    _packages: None, api: str, supabase: str, toolbox: Toolbox, owner: OwnerId, tmp_path: Path
) -> Iterator[str]:
    """The function as Supabase would run it: its file, its environment, nothing else."""
    (port,) = free_ports(1)
    environment = _environment(
        SUPABASE_URL=supabase,
        SUPABASE_ANON_KEY="anon",
        VIBEINSIGHT_API_URL=api,
        VIBEINSIGHT_API_KEY=toolbox.ledger.create_api_key(owner, "edge function"),
        DENO_SERVE_ADDRESS=f"tcp:127.0.0.1:{port}",
    )
    rights = ["--frozen", "--cached-only", "--allow-env", "--allow-net=127.0.0.1"]
    command = [DENO, "run", "--config", FUNCTION / "deno.json", *rights, FUNCTION / "index.ts"]
    server = _start(command, environment, tmp_path / "function.log")
    try:
        server.wait_until_it_answers(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


def _trigger(function: str, token: str, body: Mapping[str, str]) -> httpx.Response:
    return httpx.post(function, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def test_a_users_recording_becomes_a_job(function: str, toolbox: Toolbox, owner: OwnerId) -> None:
    """The function says 202, and the ledger has one job of that session, asked for by that user."""
    body = {"session_id": "session-7", "audio_url": "https://example.org/talk.m4a"}
    answer = _trigger(function, TOKEN, body)
    assert (answer.status_code, answer.json()["status"]) == (202, "processing"), answer.text
    assert answer.json()["session_id"] == "session-7"
    (job,) = toolbox.ledger.list_jobs(owner, limit=10, cursor=None, status=None).jobs
    assert (job.session_id, job.source.kind, job.source.value) == ("session-7", SourceKind.URL, body["audio_url"])
    assert job.options.on_behalf_of == USER


def test_a_stranger_starts_nothing(function: str, toolbox: Toolbox, owner: OwnerId) -> None:
    """A token that Supabase does not know reaches no ledger."""
    answer = _trigger(function, "forged", {"session_id": "s", "audio_url": "https://example.org/talk.m4a"})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert toolbox.ledger.list_jobs(owner, limit=10, cursor=None, status=None).jobs == []


def test_the_apis_refusal_reaches_the_caller(function: str) -> None:
    """What the API says of an address is what the user reads."""
    answer = _trigger(function, TOKEN, {"session_id": "s", "audio_url": "ftp://example.org/talk.m4a"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "source_refused"
    assert answer.json()["message"]
