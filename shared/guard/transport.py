"""HTTP that cannot leave the addresses the guard allows, for httpx: each request and each redirect is checked."""

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from shared.domain.errors import SourceRefused, SourceUnavailable
from shared.guard.addresses import AddressGuard


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of the whole exchange: time-outs of single reads would let a trickle go on for ever."""

    at_s: float  # of time.monotonic

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic() + seconds)

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self.at_s

    def within(self, timeout_s: float | None) -> float:
        """The shorter of `timeout_s` and what is left."""
        if self.passed:
            raise httpcore.ReadTimeout("deadline passed")
        left_s = self.at_s - time.monotonic()
        return left_s if timeout_s is None else min(timeout_s, left_s)


class GuardedTransport(httpx.BaseTransport):
    """Give it to `httpx.Client(transport=…, trust_env=False)`: a proxy of the environment would go around it."""

    def __init__(
        self,
        guard: AddressGuard,
        deadline: Deadline,
        certificates: ssl.SSLContext | None = None,
        sockets: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._guard = guard
        self._pool = httpcore.ConnectionPool(
            ssl_context=certificates or httpx.create_ssl_context(),
            network_backend=_PinningBackend(guard, deadline, sockets or httpcore.SyncBackend()),
            max_keepalive_connections=0,  # one that its server is just closing would fail the next request
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        self._guard.check(url)
        with _as_httpx():
            response = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpx.TimeoutException(str(error)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        raise httpx.TransportError(str(error)) from error


class _PinningBackend(httpcore.NetworkBackend):
    """Connects to the address that was checked; TLS and the Host header keep the name."""

    def __init__(self, guard: AddressGuard, deadline: Deadline, sockets: httpcore.NetworkBackend) -> None:
        self._guard, self._deadline, self._sockets = guard, deadline, sockets

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = SourceUnavailable(f"No address of {host} answers")
        for address in self._guard.addresses(host, port):
            try:
                stream = self._sockets.connect_tcp(
                    address, port, self._deadline.within(timeout), local_address, socket_options
                )
                return _TimedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.within(timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.within(timeout))
        except httpcore.ConnectError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise SourceRefused(f"The certificate of {server_hostname} is not valid") from error
            raise
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()
