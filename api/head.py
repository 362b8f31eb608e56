"""The beginning of a request: it must come whole, soon and short.

The server itself waits for ever for a head that never ends, and keeps all of it. A proxy in front takes most of that
away, but not every installation has one.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.settings import load_settings

HEAD_S = 10.0  # from the first byte, or from the connection; a browser sends a head in one packet
MAX_HEAD_BYTES = 32 * 1024  # a token has up to 8 KiB, an address with a cursor 1; twice what common proxies let through
MAX_HEADERS = 100


class PatientHttp(HttpToolsProtocol):
    """uvicorn's protocol with bounds on the head: `head_wait_s` from the first byte, or from the connection."""

    head_wait_s: float
    _in_head = True
    _head_bytes = 0
    _refused = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.head_wait_s = load_settings().head_wait_s  # the server makes us, and hands us nothing of ours
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_head:
            self._begin_head()
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {MAX_HEAD_BYTES} bytes of headers")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._stop_timer()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            what = f"more than {MAX_HEAD_BYTES} bytes of headers, or more than {MAX_HEADERS} of them"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, what)
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._refused:
            super().on_message_complete()
            self._in_head = True

    def _begin_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_wait_s, self._too_slow)

    def _too_slow(self) -> None:
        self._timer = None
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT, f"the head of the request did not come within {self.head_wait_s:.0f} s"
        )

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: HTTPStatus, what: str) -> None:
        """No application has seen this request: the answer is written here, and the connection ends."""
        self._refused = True
        self._stop_timer()
        if self.transport.is_closing():
            return
        under_way: Any = self.cycle  # None before the first request, whatever its type says
        if under_way is not None and not under_way.response_complete:  # no words into another answer
            self.transport.close()
            return
        code = "request_timeout" if status is HTTPStatus.REQUEST_TIMEOUT else "headers_too_large"
        problem = {"type": f"urn:vibeinsight:problem:{code}", "title": status.phrase, "status": status.value}
        body = json.dumps(problem | {"code": code, "detail": f"The request was refused: {what}"}).encode()
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            "content-type: application/problem+json",
            f"content-length: {len(body)}",
            "connection: close",
        )
        self.transport.write("\r\n".join((*lines, "", "")).encode() + body)
        self.transport.close()
