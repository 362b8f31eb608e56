"""Requests that are too long, too many-headed or too slow, at the server as it runs in production."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from cli.stack import Stack
from shared.toolbox import Toolbox
from tests.engine_lab import environment_of, wait_for
from tests.engine_processes import kill_tree

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
BRISK = {"VIBEINSIGHT_HEAD_WAIT_S": "1", "VIBEINSIGHT_BODY_WAIT_S": "1.5"}


@pytest.fixture(scope="module")
def toolbox(stack: Stack) -> Iterator[Toolbox]:
    tools = Toolbox(stack.settings)
    yield tools
    tools.close()


@pytest.fixture(scope="module")
def port(stack: Stack, toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """`python -m api`, less patient than usual."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        chosen = int(probe.getsockname()[1])
    log = (tmp_path_factory.mktemp("api") / "log").open("w")
    command = [sys.executable, "-m", "api", "--port", str(chosen)]
    process = psutil.Popen(
        command,
        cwd=ROOT,
        env=environment_of(toolbox.settings) | BRISK,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    wait_for("the API to answer", lambda: process.poll() is not None or answers(chosen))
    assert process.poll() is None, Path(log.name).read_text()
    yield chosen
    kill_tree(process)
    log.close()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def key(toolbox: Toolbox) -> str:
    return toolbox.ledger.create_api_key(toolbox.ledger.create_owner("test"), "test")


class Line:
    """A connection on which a test writes byte by byte."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20.0)

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """False once the server has hung up."""
        try:
            self.socket.sendall(data)
        except BlockingIOError:
            raise
        except OSError:
            return False
        return True

    def answer(self) -> str:
        """All that comes until the server hangs up."""
        received = b""
        try:
            while piece := self.socket.recv(65536):
                received += piece
        except ConnectionError:
            pass
        return received.decode()

    def trickle(self, data: bytes, every_s: float) -> int:
        """Byte by byte until an answer is there; how many bytes went."""
        self.socket.setblocking(False)
        sent = 0
        for byte in data:
            if self._answered() or not self.send(bytes([byte])):
                break
            sent += 1
            time.sleep(every_s)
        self.socket.setblocking(True)
        return sent

    def flood(self, piece: bytes) -> None:
        """The same again and again until an answer is there."""
        self.socket.setblocking(False)
        while not self._answered():
            with contextlib.suppress(BlockingIOError):
                if not self.send(piece):
                    break
        self.socket.setblocking(True)

    def _answered(self) -> bool:
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK)) or True
        except BlockingIOError:
            return False
        except ConnectionError:
            return True


def head(path: str, key: str, *more: str) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", *more, "", "")
    return "\r\n".join(lines).encode()


def test_a_head_that_never_ends_is_cut(port: int) -> None:
    """408 after a bounded time, whether bytes trickle or none come; other requests are answered meanwhile."""
    with Line(port) as slow, Line(port) as silent:
        assert slow.trickle(b"GET /livez HTTP/1.1\r\nX-Slow: " + b"a" * 500, 0.05) < 400
        assert answers(port)
        assert slow.answer().startswith("HTTP/1.1 408 ")
        assert silent.answer().startswith("HTTP/1.1 408 ")


def test_a_second_head_on_the_same_line_is_timed_too(port: int) -> None:
    """After an answered request the next head has no longer than the first."""
    with Line(port) as line:
        line.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTT")
        answer = line.answer()
    assert answer.startswith("HTTP/1.1 200 ")
    assert "HTTP/1.1 408 " in answer


@pytest.mark.parametrize(
    "lines",
    [b"X-Long: " + b"a" * 40_000, b"\r\n".join(b"X-%d: a" % number for number in range(120)), b"X-Endless: "],
    ids=["one long", "many", "endless"],
)
def test_heads_that_are_too_large_are_refused(port: int, lines: bytes) -> None:
    """431 as a problem, and the connection ends; an endless field is not collected."""
    with Line(port) as line:
        line.send(b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\n" + lines)
        if lines.endswith(b": "):
            line.flood(b"a" * 8192)
        line.send(b"\r\n\r\n")
        answer = line.answer()
    assert answer.startswith("HTTP/1.1 431 ")
    assert '"code": "headers_too_large"' in answer


def test_a_json_body_that_trickles_is_cut(port: int, key: str) -> None:
    """408 in bounded time, though a byte comes every moment."""
    with Line(port) as line:
        line.send(head("/v1/jobs", key, "Content-Type: application/json", "Content-Length: 5000"))
        assert line.trickle(b"{" + b" " * 300, 0.05) < 200
        answer = line.answer()
    assert answer.startswith("HTTP/1.1 408 ")
    assert '"upload_stalled"' in answer


def test_a_form_that_trickles_is_cut_and_leaves_nothing(port: int, key: str, toolbox: Toolbox) -> None:
    """The recording's beginning is thrown away again, and the connection ends."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
    more = ("Content-Type: multipart/form-data; boundary=b", "Content-Length: 500000")
    with Line(port) as line:
        line.send(head("/v1/jobs/file", key, *more) + part)
        line.trickle(b"a" * 300, 0.05)
        answer = line.answer()
    assert answer.startswith("HTTP/1.1 408 ")
    with toolbox.ledger.database.begin() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM uploads WHERE filename = 'a.wav'").scalar_one()
    assert left == 0


def test_a_body_that_comes_in_bursts_is_taken(port: int, key: str) -> None:
    """A line that pauses is no trickle: what has come earns the wait."""
    body = b'{"source": {"url": "https://example.com/a.wav"}}'
    with Line(port) as line:
        line.send(head("/v1/jobs", key, f"Content-Length: {len(body)}", "Content-Type: application/json"))
        for begin in range(0, len(body), 16):
            time.sleep(0.3)
            line.send(body[begin : begin + 16])
        line.socket.settimeout(10.0)
        assert line.socket.recv(12) == b"HTTP/1.1 202"


def test_a_body_longer_than_its_cap_ends_the_connection(port: int, key: str) -> None:
    """Declared or not: 413, and the rest is not waited for."""
    with Line(port) as line:
        line.send(head("/v1/jobs", key, "Content-Type: application/json", "Content-Length: 900000"))
        line.send(b"{" + b" " * 100_000)
        assert line.answer().startswith("HTTP/1.1 413 ")


def test_many_and_long_fields_of_a_form(port: int, key: str) -> None:
    """A form with too many fields, and one with too long a field, are refused with their bounds."""
    many = {f"field{number}": "x" for number in range(40)}
    long = {"session_id": "x" * 20_000}
    for fields, word in ((many, "32"), (long, "16384")):
        files = {name: (None, value) for name, value in fields.items()}
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/jobs/file", files=files, headers={"Authorization": f"Bearer {key}"}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        assert word in answer.json()["detail"]
