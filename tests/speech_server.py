"""A server that speaks OpenAI's transcription call on loopback, with answers that a test prepares."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None  # answered only once it is set
    promised_bytes: int | None = None  # a Content-Length that the body does not keep


@dataclass
class TranscriptionServer:
    """Gives its answers in order, the last one again and again; keeps what was asked."""

    base_url: str
    answers: list[Answer]
    asked: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    choose: Callable[[], Answer] | None = None  # decides in place of the list

    def next(self) -> Answer:
        if self.choose is not None:
            return self.choose()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def transcription(text: str, words: list[tuple[str, float, float]], language: str = "english") -> Answer:
    """A verbose answer as OpenAI gives it."""
    end_s = words[-1][2] if words else 0.0
    segment: dict[str, Any] = {"id": 0, "seek": 0, "start": 0.0, "end": end_s, "text": text, "tokens": []}
    segment |= {"temperature": 0.0, "avg_logprob": -0.2, "compression_ratio": 1.0, "no_speech_prob": 0.01}
    body = {
        "task": "transcribe",
        "language": language,
        "duration": end_s,
        "text": text,
        "words": [{"word": word, "start": start_s, "end": until_s} for word, start_s, until_s in words],
        "segments": [segment],
    }
    return Answer(body=json.dumps(body).encode())


def problem(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    """An error as OpenAI words it."""
    body = json.dumps({"error": {"message": message, "type": "error", "param": None, "code": code}}).encode()
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def serving(*answers: Answer) -> Iterator[TranscriptionServer]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server = TranscriptionServer(f"http://127.0.0.1:{http.server_address[1]}/v1", list(answers))
    http.transcription = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: TranscriptionServer = self.server.transcription  # type: ignore[attr-defined]
        server.paths.append(self.path)
        server.keys.append(self.headers["Authorization"])
        server.asked.append(self.rfile.read(int(self.headers["Content-Length"])))
        answer = server.next()
        if answer.hold:
            answer.hold.wait(30)
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(answer.promised_bytes or len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
