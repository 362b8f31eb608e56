"""What surrounds every request: an id, a trace, a log line, a measurement, security headers, a cap on its body."""

import re
import time
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import structlog
from fastapi import Request
from opentelemetry.trace import Span, SpanKind, StatusCode
from prometheus_client import Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import internal_error
from shared.observe import metrics
from shared.observe.logs import bound, learning
from shared.observe.traces import span, within

MAX_JSON_BYTES = 64 * 1024  # the longest job request has one signed address and a dozen options
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")  # what a proxy may hand us; anything else could forge log lines

# The API's answers are data: nothing in them may run, be framed, or be taken for another type.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}  # a year, once the service is known to be on https

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ApiMetrics:
    """What is counted at the edge."""

    requests: Counter = metrics.HTTP_REQUESTS
    seconds: Histogram = metrics.HTTP_SECONDS
    streams: Gauge = metrics.STREAMS


@dataclass
class _Exchange:
    """One request while it is answered."""

    scope: Scope
    send_on: Send
    headers: Mapping[str, str]
    request_id: str
    began: float = field(default_factory=time.perf_counter)
    status: int = 0
    started_s: float = 0.0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.started_s = time.perf_counter() - self.began
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.request_id
            for name, value in self.headers.items():
                headers.setdefault(name, value)
        await self.send_on(message)

    @property
    def route(self) -> str:
        """The path's pattern: the path itself would make a metric of every id."""
        return getattr(self.scope.get("route"), "path", "none")


class Observed:
    """ASGI middleware. The outermost of ours, so that it sees what everything else made of the request."""

    def __init__(self, app: ASGIApp, *, metrics: ApiMetrics, headers: Mapping[str, str]) -> None:
        self.app, self.metrics, self.headers = app, metrics, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, send, self.headers, _request_id(scope))
        scope.setdefault("state", {})["request_id"] = exchange.request_id
        given = Headers(scope=scope).get("traceparent")
        with within(given), bound(request_id=exchange.request_id), learning(), _request_span(scope) as seen:
            await self._answer(exchange, receive)
            self._note(exchange)
            _conclude(seen, exchange)

    async def _answer(self, exchange: _Exchange, receive: Receive) -> None:
        try:
            await self.app(exchange.scope, receive, exchange.send)
        except Exception:
            log.exception("request_crashed", method=exchange.scope["method"], route=exchange.route)
            if exchange.status:  # too late to say so: the server cuts the connection, and the client sees that
                raise
            await internal_error(Request(exchange.scope))(exchange.scope, receive, exchange.send)

    def _note(self, exchange: _Exchange) -> None:
        method, route = exchange.scope["method"], exchange.route
        self.metrics.requests.labels(method, route, exchange.status).inc()
        self.metrics.seconds.labels(method, route).observe(exchange.started_s)
        log.info("request", method=method, route=route, status=exchange.status, ms=round(exchange.started_s * 1000, 1))


def _request_span(scope: Scope) -> AbstractContextManager[Span]:
    """The address's query stays out: it may hold a signature."""
    about = {
        "http.request.method": scope["method"],
        "url.scheme": scope.get("scheme", "http"),
        "url.path": scope["path"],
    }
    return span(scope["method"], kind=SpanKind.SERVER, attributes=about)


def _conclude(seen: Span, exchange: _Exchange) -> None:
    """Which route it was is known only now."""
    seen.update_name(f"{exchange.scope['method']} {exchange.route}")
    seen.set_attribute("http.route", exchange.route)
    seen.set_attribute("http.response.status_code", exchange.status)
    seen.set_attribute("vibeinsight.request.id", exchange.request_id)
    if exchange.status >= 500:
        seen.set_attribute("error.type", str(exchange.status))
        seen.set_status(StatusCode.ERROR)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex


class BodyCap:
    """ASGI middleware: a JSON body is read into memory, so it has a cap. `exempt` paths read their own as a stream,
    `larger` ones have a cap of their own.
    """

    def __init__(
        self, app: ASGIApp, *, max_bytes: int, exempt: frozenset[str], larger: Mapping[str, int] | None = None
    ) -> None:
        self.app, self.max_bytes, self.exempt, self.larger = app, max_bytes, exempt, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self.exempt:
            await self.app(scope, receive, send)
            return
        seen, most = 0, self.larger.get(scope["path"], self.max_bytes)

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise HTTPException(413, f"The body is longer than {most} bytes.")
            return message

        await self.app(scope, counted, send)
