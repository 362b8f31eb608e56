"""A web server that misbehaves on purpose, for addresses that end badly."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = b"\0" * 65_536


class _Misbehaving(BaseHTTPRequestHandler):
    """/missing, /hang, /endless, /to-loopback, /to-metadata."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/hang":
                self.server.released.wait(120)  # type: ignore[attr-defined]
            case "/endless":
                self._pour()
            case "/to-loopback":
                self._redirect("http://127.0.0.1:1/secret")
            case "/to-metadata":
                self._redirect("http://169.254.169.254/latest/meta-data/")
            case _:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

    do_HEAD = do_GET  # noqa: N815 -- the names that http.server looks for

    def _redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _pour(self) -> None:
        """A body without an announced length and without an end."""
        self.send_response(200)
        self.send_header("Content-Type", "audio/mpeg")
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.server.released.is_set():  # type: ignore[attr-defined]
                self.wfile.write(PIECE)
                time.sleep(0.001)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextlib.contextmanager
def misbehaving() -> Iterator[int]:
    """Serves on a free loopback port, which is yielded."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Misbehaving)
    server.daemon_threads = True
    server.released = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield int(server.server_address[1])
    server.released.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()
