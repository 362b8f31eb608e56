"""A receiver of webhooks on the loopback, which answers as it is told."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from shared.domain.webhooks import Letter

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@dataclass(frozen=True)
class Got:
    """One delivery, as it arrived."""

    path: str
    headers: dict[str, str]
    body: str


Behaviour = Callable[["Receiving"], None]


class Receiving(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Receiver"

    def do_POST(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.got.append(Got(self.path, dict(self.headers), body))
        self.server.behave(self)

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behave: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Receiving)
        self.behave, self.got, self.ending = behave, list[Got](), threading.Event()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/hook"

    def letter(self, *, path: str = "/hook", secrets: tuple[str, ...] = (SECRET,)) -> Letter:
        url = f"http://{self.host}{path}"
        return Letter("4cf8a6f0-0000-4000-8000-000000000001", "t", url, '{"type":"webhook.test"}', secrets, 1)

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that hangs up is what we want."""


def status(code: int, **headers: str) -> Behaviour:
    return lambda asked: asked.answer(code, **headers)


@contextmanager
def receiving(behave: Behaviour | None = None) -> Iterator[Receiver]:
    with Receiver(behave or status(204)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.ending.set()  # whoever hangs on purpose may go
            server.shutdown()
            thread.join()
