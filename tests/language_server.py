"""A server on loopback that speaks Gemini's generateContent and OpenAI's chat completions, as a test wants it to.

A test gives it a `Model`: a function from what was asked to the text of the answer, or to a `Reply` of any shape.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

from shared.adapters.answering import Patience
from shared.adapters.chat import ChatModel
from shared.adapters.gemini import GeminiModel
from shared.ports.language import LanguageModel
from shared.settings import Settings

ADAPTERS = {"gemini": GeminiModel, "openai": ChatModel}
MODEL = "test-model-1"


@dataclass(frozen=True)
class Asked:
    """A question as it came over the wire, whichever of the two forms it had."""

    path: str
    key: str
    body: dict[str, Any]

    @property
    def system(self) -> str:
        if "messages" in self.body:
            return str(self.body["messages"][0]["content"])
        return "".join(part["text"] for part in self.body["systemInstruction"]["parts"])

    @property
    def user(self) -> str:
        if "messages" in self.body:
            return str(self.body["messages"][1]["content"])
        return "".join(part["text"] for part in self.body["contents"][0]["parts"])

    @property
    def schema(self) -> dict[str, Any]:
        if "response_format" in self.body:
            return dict(self.body["response_format"]["json_schema"]["schema"])
        return dict(self.body.get("generationConfig", {}).get("responseJsonSchema", {}))


@dataclass(frozen=True)
class Reply:
    """What goes back: a text in the form of the provider, or a whole body as it is."""

    text: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    ended: str | None = None  # finish_reason or finishReason
    refusal: str | None = None  # OpenAI's
    blocked: str | None = None  # Gemini's block reason of the whole question
    hold: threading.Event | None = None  # answered only once it is set
    tokens: tuple[int, int] | None = (1000, 200)
    empty: bool = False  # no choice, no candidate


Model = Callable[[Asked], "str | Reply"]


@dataclass
class LanguageServer:
    url: str
    model: Model
    asked: list[Asked] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)  # seconds that `adapters` were to sleep, and did not

    @cached_property
    def adapters(self) -> dict[str, LanguageModel]:
        """One a provider, over this server: their clients cost half a second each to make."""
        patience = Patience(sleep=self.waited.append)
        return {name: make(self.settings(name), patience=patience) for name, make in ADAPTERS.items()}

    def reset(self) -> "LanguageServer":
        self.asked.clear()
        self.waited.clear()
        return self

    def settings(self, provider: str, **more: Any) -> Settings:
        base_url = self.url if provider == "gemini" else f"{self.url}/v1"
        return Settings(
            language_model=provider,
            language_model_name=MODEL,
            language_model_base_url=base_url,
            language_model_key=SecretStr("a-key"),
            **more,
        )


@contextmanager
def serving(model: Model) -> Iterator[LanguageServer]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.daemon_threads = True
    server = LanguageServer(f"http://127.0.0.1:{http.server_address[1]}", model)
    http.language = server  # type: ignore[attr-defined]
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
        server: LanguageServer = self.server.language  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["x-goog-api-key"] or self.headers["Authorization"] or ""
        asked = Asked(self.path, key, body)
        server.asked.append(asked)
        said = server.model(asked)
        reply = said if isinstance(said, Reply) else Reply(said)
        if reply.hold:
            reply.hold.wait(30)
        content = reply.body if reply.body is not None else json.dumps(self._body(reply)).encode()
        try:
            self._send(reply, content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has gone: that is what the test is about

    def _send(self, reply: Reply, content: bytes) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self, reply: Reply) -> dict[str, Any]:
        gemini = ":generateContent" in self.path
        if reply.status != 200:
            return _problem(reply.status, gemini)
        return _gemini(reply) if gemini else _openai(reply)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def _problem(status: int, gemini: bool) -> dict[str, Any]:
    if gemini:
        return {"error": {"code": status, "message": "no: key a-key", "status": "UNAVAILABLE"}}
    return {"error": {"message": "no: key a-key", "type": "error", "param": None, "code": None}}


def _openai(reply: Reply) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    choice = {"index": 0, "message": message, "finish_reason": reply.ended or "stop", "logprobs": None}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": f"{MODEL}-2026-11-01"}
    return body | {"choices": [] if reply.empty else [choice]} | _openai_usage(reply)


def _openai_usage(reply: Reply) -> dict[str, Any]:
    if reply.tokens is None:
        return {}
    asked, answered = reply.tokens
    return {"usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}}


def _gemini(reply: Reply) -> dict[str, Any]:
    parts = [] if reply.text is None else [{"text": "let me think", "thought": True}, {"text": reply.text}]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": reply.ended or "STOP", "index": 0}
    body: dict[str, Any] = {"modelVersion": f"{MODEL}-001", "responseId": "1"}
    if reply.blocked:
        body["promptFeedback"] = {"blockReason": reply.blocked}
    if not (reply.empty or reply.blocked):
        body["candidates"] = [candidate]
    if reply.tokens:
        asked, answered = reply.tokens
        body["usageMetadata"] = {"promptTokenCount": asked, "candidatesTokenCount": answered - 50}
        body["usageMetadata"]["thoughtsTokenCount"] = 50
    return body
