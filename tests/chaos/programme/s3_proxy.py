"""A proxy before the object store that refuses, dawdles, breaks off its answers or loses a part, when it is told to."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

REFUSES, SLOW, TRUNCATES, LOSES_A_PART = "refuses", "slow", "truncates", "loses a part"
PIECE_BYTES = 65_536
SLOW_S = 0.4  # before each piece of an answer
KEPT_SHARE = 0.5  # of an answer that is broken off
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "proxy-connection"}


class S3Proxy(ThreadingHTTPServer):
    """`moods` holds what is wrong at the moment, `struck` how many requests have suffered from each."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.upstream = urlsplit(upstream).netloc
        self.moods: set[str] = set()
        self.struck: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def suffers(self, mood: str) -> bool:
        if mood not in self.moods:
            return False
        self.struck[mood] = self.struck.get(mood, 0) + 1
        return True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed hang up in the middle of things."""


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3Proxy

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.suffers(REFUSES):
            self._answer(503, [("Content-Length", "0"), ("Connection", "close")], b"")
        elif self.command == "PUT" and "partNumber=" in self.path and self.server.suffers(LOSES_A_PART):
            self._answer(200, [("ETag", '"d41d8cd98f00b204e9800998ecf8427e"'), ("Content-Length", "0")], b"")
        else:
            self._pass_on(body)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the names that http.server looks for

    def _pass_on(self, body: bytes) -> None:
        link = http.client.HTTPConnection(self.server.upstream, timeout=60)
        try:
            link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    link.putheader(name, value)
            link.endheaders(body or None)
            found = link.getresponse()
            content = found.read()
        finally:
            link.close()
        self._answer(found.status, found.getheaders(), content)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        cut = bool(content) and self.server.suffers(TRUNCATES)
        slow = self.server.suffers(SLOW)
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        length = next((value for name, value in headers if name.lower() == "content-length"), str(len(content)))
        self.send_header("Content-Length", length)
        self.end_headers()
        kept = content[: int(len(content) * KEPT_SHARE)] if cut else content
        for start in range(0, len(kept), PIECE_BYTES) or (0,):
            if slow:
                time.sleep(SLOW_S)
            self.wfile.write(kept[start : start + PIECE_BYTES])
        self.close_connection = cut or status == 503

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def before(upstream: str) -> Iterator[S3Proxy]:
    with S3Proxy(upstream) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
