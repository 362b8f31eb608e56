"""Traces: one for each job, from the request through every stage to every call that leaves the process.

The W3C `traceparent` of the request that made a job is kept in the job's row, so a run belongs to its job's trace
however often and by whomever it is rung. Spans are exported when the standard OTEL_… variables name a receiver;
otherwise nothing of OpenTelemetry's SDK is even imported. The trace id is in the logs either way.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import context, trace
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.domain.errors import Stopped, VibeInsightError
from shared.observe.redaction import hide_secrets
from shared.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

NAMESPACE = "vibeinsight"
RECEIVERS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
FLUSH_WITHIN_MS = 3_000  # at the end of a process: a receiver that is away must not hold up a deploy

Attribute = str | bool | int | float

_w3c = TraceContextTextMapPropagator()


class _Exporting:
    """The provider of this process, if its spans go anywhere."""

    provider: "TracerProvider | None" = None
    tracer: Tracer = trace.NoOpTracer()


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the standard variables name a receiver of traces."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environment.get(name) for name in RECEIVERS)


def set_up_traces(part: str) -> None:
    """Call once in each process that works, and again after a fork. `part`: api, steward, worker-…"""
    if wanted():
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        export_to(part, BatchSpanProcessor(OTLPSpanExporter()))


def export_to(part: str, processor: "SpanProcessor") -> None:
    """Spans of this process go to `processor` from now on."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    about: dict[str, Attribute] = {"service.namespace": NAMESPACE, "service.version": VERSION}
    about["process.pid"] = os.getpid()
    if not os.environ.get("OTEL_SERVICE_NAME"):
        about["service.name"] = f"{NAMESPACE}-{part}"
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    _Exporting.provider, _Exporting.tracer = provider, provider.get_tracer(NAMESPACE, VERSION)


def shut_down_traces() -> None:
    """What has not been sent yet is sent now."""
    provider, _Exporting.provider, _Exporting.tracer = _Exporting.provider, None, trace.NoOpTracer()
    if provider is not None:
        provider.force_flush(FLUSH_WITHIN_MS)
        provider.shutdown()


def recording() -> bool:
    """Whether a span would go anywhere."""
    return _Exporting.provider is not None


@contextmanager
def within(traceparent: str | None) -> Iterator[None]:
    """What happens inside belongs to this trace. Without one a new one begins, so that log lines can be joined."""
    token = context.attach(_context_of(traceparent) or _fresh())
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Attribute] | None = None,
    links: tuple[str | None, ...] = (),
    began_ns: int | None = None,
) -> Iterator[Span]:
    """A piece of work, inside the one around it. `links`: traceparents of what led to it."""
    if not recording():
        yield trace.get_current_span()
        return
    about = {**(attributes or {})}
    made = _Exporting.tracer.start_span(
        name, kind=kind, attributes=about, links=_links(links), start_time=began_ns, record_exception=False
    )
    with trace.use_span(made, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield made
        except BaseException as error:
            note_failure(made, error)
            raise


def note_failure(noted: Span, error: BaseException) -> None:
    """An error's kind and its message without secrets. That the work was called off is no error."""
    kind = error.code if isinstance(error, VibeInsightError) else type(error).__qualname__
    if isinstance(error, Stopped):
        noted.add_event("stopped", {"reason": kind})
        return
    message = hide_secrets(str(error))[:500]
    noted.set_attribute("error.type", kind)
    noted.add_event("exception", {"exception.type": kind, "exception.message": message})
    noted.set_status(StatusCode.ERROR, message)


def happened(name: str, **attributes: Attribute) -> None:
    """Something at a point in time within the current span: a retry, a cache hit."""
    trace.get_current_span().add_event(name, attributes)


def current_traceparent() -> str | None:
    """The current span, as the header that others continue it by."""
    carrier: dict[str, str] = {}
    _w3c.inject(carrier)
    return carrier.get("traceparent")


def new_traceparent() -> str:
    """Of a trace whose first span is not collected: its id still joins the log lines of several processes."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def current_ids() -> dict[str, str]:
    """For a log line; empty outside of every trace."""
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(found.trace_id), "span_id": trace.format_span_id(found.span_id)}


def _context_of(traceparent: str | None) -> context.Context | None:
    """None for a header that is missing or not well formed."""
    if not traceparent:
        return None
    found = _w3c.extract({"traceparent": traceparent}, context.Context())
    return found if trace.get_current_span(found).get_span_context().is_valid else None


def _fresh() -> context.Context:
    """Of no trace, where a span will begin one; else of a new one."""
    return context.Context() if recording() else _w3c.extract({"traceparent": new_traceparent()}, context.Context())


def _links(traceparents: tuple[str | None, ...]) -> list[Link]:
    found = [_context_of(traceparent) for traceparent in traceparents]
    return [Link(trace.get_current_span(one).get_span_context()) for one in found if one is not None]
