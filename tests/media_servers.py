"""Servers that misbehave on purpose, on the loopback: what the fetcher and the object store must survive."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """One request, as it arrived."""

    path: str
    headers: dict[str, str]


Answer = Callable[["Answering", int], None]  # the connection, and the number of this request from 1


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "ScriptedServer"

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.asked.append(Asked(self.path, dict(self.headers)))
        self.server.answer(self, len(self.server.asked))

    def begin(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def whole(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.begin(status, Content_Length=str(len(content)), **headers)
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class ScriptedServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.answer, self.asked = answer, list[Asked]()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what we want."""


@contextmanager
def scripted(answer: Answer) -> Iterator[ScriptedServer]:
    with ScriptedServer(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@dataclass
class CuttingProxy:
    """Passes bytes through to `upstream` and cuts each of the first `cuts` answers after `after` bytes."""

    upstream: tuple[str, int]
    after: int
    cuts: int
    cut_so_far: int = 0
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.create_connection(self.upstream) as server:
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            passed = 0
            while piece := _received(server):
                passed += len(piece)
                client.sendall(piece)
                if self.cut_so_far < self.cuts and passed > self.after:
                    self.cut_so_far += 1
                    client.shutdown(socket.SHUT_RDWR)
                    return


def _received(side: socket.socket) -> bytes:
    try:
        return side.recv(65_536)
    except OSError:
        return b""


def _pump(source: socket.socket, target: socket.socket) -> None:
    while piece := _received(source):
        target.sendall(piece)


@contextmanager
def cutting(upstream: tuple[str, int], *, after: int, cuts: int) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(upstream, after, cuts)
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.listener.shutdown(socket.SHUT_RDWR)
        proxy.listener.close()
        thread.join()
