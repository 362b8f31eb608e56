"""Calls that leave the process or keep it busy, seen from outside: a span each, and a count of those that failed.

Ports are wrapped where they are put together (shared/toolbox.py), so that adapters know nothing of being watched.
"""

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from shared.domain.errors import ProviderError
from shared.observe.metrics import PROVIDER_ERRORS
from shared.observe.traces import Attribute, recording, span

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

HELD = "provider_paused"  # not asked at all: no failure of a call


@dataclass(frozen=True)
class Kind:
    """How a port's calls are shown. `system` begins the span's name; `provider` is whom a failure is counted for."""

    system: str
    span_kind: SpanKind = SpanKind.CLIENT
    attributes: dict[str, Attribute] = field(default_factory=dict)
    provider: str | None = None


S3 = Kind("S3", attributes={"rpc.system": "aws-api", "rpc.service": "S3"})
FFMPEG = Kind("ffmpeg", SpanKind.INTERNAL, {"process.executable.name": "ffmpeg"})
FETCH = Kind("fetch", attributes={"http.request.method": "GET"})


def model(provider: str, name: str = "", *, local: bool = False) -> Kind:
    """A model, in this process or at a provider's."""
    attributes: dict[str, Attribute] = {"gen_ai.provider.name": provider}
    if name:
        attributes["gen_ai.request.model"] = name
    return Kind(provider, SpanKind.INTERNAL if local else SpanKind.CLIENT, attributes, provider)


def watched(port: T, kind: Kind) -> T:
    """The same port; each call of one of its methods is a span."""
    return cast("T", _Watched(port, kind))


def call_span(kind: Kind, operation: str) -> AbstractContextManager[Span]:
    """For a single call: `with call_span(S3, "put"):`. Without a trace around it there is nothing to show."""
    if not recording() or not trace.get_current_span().get_span_context().is_valid:
        return nullcontext(trace.INVALID_SPAN)
    return span(f"{kind.system} {operation}", kind=kind.span_kind, attributes=_about(kind, operation))


def sending(queue: str) -> AbstractContextManager[Span]:
    """A message on its way. The steward's, which belong to no request, are not shown: the run's own span is."""
    about = {"messaging.system": "redis", "messaging.destination.name": queue, "messaging.operation.type": "send"}
    return call_span(Kind("send", SpanKind.PRODUCER, {**about, "messaging.operation.name": "send"}), queue)


def request_of(provider: str, name: str) -> AbstractContextManager[Span]:
    """One request of a provider: a retry is another. For the gate that every one of them passes."""
    return call_span(model(provider, name), "request")


class _Watched:
    def __init__(self, port: object, kind: Kind) -> None:
        self._port, self._kind = port, kind

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name.startswith("_") or not inspect.ismethod(found) or inspect.isgeneratorfunction(found):
            return found
        return self.__dict__.setdefault(name, _shown(found, self._kind, name))


def _shown(call: Callable[P, R], kind: Kind, operation: str) -> Callable[P, R]:
    @wraps(call)
    def shown(*args: P.args, **kwargs: P.kwargs) -> R:
        with call_span(kind, operation):
            try:
                return call(*args, **kwargs)
            except ProviderError as error:
                if error.code != HELD:
                    PROVIDER_ERRORS.labels(kind.provider or kind.system, error.code).inc()
                raise

    return shown


def _about(kind: Kind, operation: str) -> dict[str, Attribute]:
    if "rpc.system" in kind.attributes:
        return {**kind.attributes, "rpc.method": operation}
    if "gen_ai.provider.name" in kind.attributes:
        return {**kind.attributes, "gen_ai.operation.name": operation}
    return dict(kind.attributes)
