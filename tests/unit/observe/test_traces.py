"""Spans, what they are part of, and what they never tell."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from shared.domain.errors import Cancelled, ProviderUnavailable, SourceUnavailable
from shared.observe import metrics, traces
from shared.observe.calls import S3, model, watched

pytestmark = pytest.mark.unit

THEIRS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collected() -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    traces.export_to("test", SimpleSpanProcessor(kept))
    yield kept
    traces.shut_down_traces()


def spans(kept: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in kept.get_finished_spans()}


def test_nothing_is_loaded_unless_a_receiver_is_named() -> None:
    """Without the OTEL_ variables the SDK is not even imported, and a span costs next to nothing."""
    program = (
        "import sys; from shared.observe import traces; traces.set_up_traces('x')\n"
        "with traces.span('a'): pass\n"
        "sys.exit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], env={"PATH": "/usr/bin"}, check=False).returncode == 0


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_standard_variables_decide(environment: dict[str, str], wanted: bool) -> None:
    """Whoever knows OpenTelemetry knows how to turn this on and off."""
    assert traces.wanted(environment) is wanted


def test_without_a_receiver_there_still_is_a_trace_id() -> None:
    """So that the log lines of several processes can be joined."""
    with traces.within(None), traces.span("work"):
        made, ids = traces.current_traceparent(), traces.current_ids()
    assert made is not None
    assert ids["trace_id"] in made
    with traces.within(made):
        assert traces.current_ids()["trace_id"] == ids["trace_id"]
    assert traces.current_ids() == {}


def test_a_trace_goes_on_where_it_came_from(collected: InMemorySpanExporter) -> None:
    """The header of another process is the parent; what is inside a span is its child."""
    with traces.within(THEIRS), traces.span("outer"), traces.span("inner"):
        pass
    outer, inner = spans(collected)["outer"], spans(collected)["inner"]
    assert outer.parent is not None
    assert inner.parent is not None
    assert f"{outer.parent.trace_id:032x}-{outer.parent.span_id:016x}" in THEIRS
    assert inner.parent.span_id == outer.get_span_context().span_id


@pytest.mark.parametrize("header", [None, "", "00-zz-yy-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 9000])
def test_a_header_that_is_none_begins_a_trace(collected: InMemorySpanExporter, header: str | None) -> None:
    """Whatever a stranger sends, there is a trace and no error."""
    with traces.within(header), traces.span("first"):
        pass
    assert spans(collected)["first"].parent is None


def test_an_attempt_links_to_what_led_to_it(collected: InMemorySpanExporter) -> None:
    """Links are not parents: both stay in the trace of the job."""
    with traces.within(THEIRS), traces.span("again", links=(THEIRS, None, "nonsense")):
        pass
    assert [f"{link.context.span_id:016x}" for link in spans(collected)["again"].links] == ["b7ad6b7169203331"]


def test_a_failure_is_told_without_its_secret(collected: InMemorySpanExporter) -> None:
    """The error's code and its sentence, but no signature that stands in it."""
    with pytest.raises(SourceUnavailable), traces.span("fetch"):
        raise SourceUnavailable("https://x.example/a?X-Amz-Signature=abcdef0123 did not answer")
    failed = spans(collected)["fetch"]
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "source_unavailable"
    assert "abcdef0123" not in failed.to_json()


def test_being_called_off_is_no_error(collected: InMemorySpanExporter) -> None:
    """A cancel is what somebody wanted."""
    with pytest.raises(Cancelled), traces.span("work"):
        raise Cancelled("cancelled")
    stopped = spans(collected)["work"]
    assert stopped.status.status_code is StatusCode.UNSET
    assert [event.name for event in stopped.events] == ["stopped"]


class Provider:
    size = 3

    def ask(self, fails: bool) -> str:
        if fails:
            raise ProviderUnavailable("it said 503")
        return "answer"

    def pieces(self) -> Iterator[int]:
        yield from range(self.size)


def test_a_watched_port_is_the_same_port(collected: InMemorySpanExporter) -> None:
    """Calls are spans and failures are counted; values, streams and errors are as they were."""
    port = watched(Provider(), model("acme", "large"))
    before = metrics.PROVIDER_ERRORS.labels("acme", "provider_unavailable")._value.get()
    with traces.span("stage"):
        assert port.ask(fails=False) == "answer"
        assert (port.size, list(port.pieces())) == (3, [0, 1, 2])
        with pytest.raises(ProviderUnavailable):
            port.ask(fails=True)
    shown = [span for span in collected.get_finished_spans() if span.name == "acme ask"]
    assert [span.status.status_code for span in shown] == [StatusCode.UNSET, StatusCode.ERROR]
    assert shown[0].attributes is not None
    assert shown[0].attributes["gen_ai.provider.name"] == "acme"
    assert metrics.PROVIDER_ERRORS.labels("acme", "provider_unavailable")._value.get() == before + 1


def test_outside_of_a_trace_a_call_shows_nothing(collected: InMemorySpanExporter) -> None:
    """A health check's ping must not begin a trace of its own every few seconds."""
    watched(Provider(), S3).ask(fails=False)
    assert collected.get_finished_spans() == ()
