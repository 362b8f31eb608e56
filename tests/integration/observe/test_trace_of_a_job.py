"""One trace for each job, whatever happens to it; here in one process, where every span can be looked at."""

import io
import json
import logging
from collections.abc import Iterator, Sequence

import httpx
import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from shared.domain.job import Stage
from shared.observe import traces
from shared.observe.logs import set_up_logs
from tests.engine_lab import Lab
from tests.integration.api.harness import served

pytestmark = pytest.mark.integration


@pytest.fixture
def collected() -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    traces.export_to("test", SimpleSpanProcessor(kept))
    yield kept
    traces.shut_down_traces()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    before = logging.root.handlers[:], logging.root.level
    out = io.StringIO()
    set_up_logs("info", stream=out)
    yield out
    logging.root.handlers[:], level = before
    logging.root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def named(kept: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in kept.get_finished_spans() if span.name == name]


def post(lab: Lab, script: dict[str, object], **headers: str) -> str:
    """A job of the lab's, asked for through the API. Its session id is the script."""
    key = lab.tools.ledger.create_api_key(lab.owner, "test")
    with served(lab.tools) as address:
        answer = httpx.post(
            f"{address}/v1/jobs",
            json={"source": {"url": "https://example.com/x.m4a"}, "session_id": json.dumps(script)},
            headers={"Authorization": f"Bearer {key}", **headers},
        )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def in_one_trace(spans: Sequence[ReadableSpan], root: ReadableSpan) -> bool:
    """All of the same trace, and each one's parent is among them."""
    ids = {span.get_span_context().span_id for span in spans}
    parents = [span.parent.span_id for span in spans if span.parent is not None and span is not root]
    same = {span.get_span_context().trace_id for span in spans}
    return len(same) == 1 and set(parents) <= ids and len(parents) == len(spans) - 1


def test_a_whole_job_is_one_trace(lab: Lab, collected: InMemorySpanExporter) -> None:
    """Request, message, claim, every stage and every call of the object store hang together."""
    job = post(lab, {"shards": 2})
    assert lab.work_off() == 7
    (root,) = named(collected, "POST /v1/jobs")
    spans = [span for span in collected.get_finished_spans() if span.get_span_context() is not None]
    assert in_one_trace(spans, root)
    assert (root.kind, root.parent) == (SpanKind.SERVER, None)
    assert {span.name for span in spans} >= {"claim", "S3 put", "S3 get", "send download", "send analyze"}
    worked = [span for span in spans if span.kind is SpanKind.CONSUMER]
    assert sorted(span.name for span in worked) == sorted(
        [f"process {stage}" for stage in Stage] + ["process transcribe"]
    )
    assert {span.attributes["vibeinsight.job.id"] for span in worked if span.attributes} == {job}


def test_a_caller_may_bring_a_trace(lab: Lab, collected: InMemorySpanExporter) -> None:
    """The Edge Function's traceparent is continued, and kept in the job's row."""
    theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    post(lab, {"shards": 0}, traceparent=theirs)
    lab.work_off()
    assert lab.execute("SELECT left(traceparent, 35) FROM jobs")[0][0] == theirs[:35]
    found = {f"{span.get_span_context().trace_id:032x}" for span in collected.get_finished_spans()}
    assert found == {"0af7651916cd43dd8448eb211c80319c"}


def test_attempts_link_to_each_other(lab: Lab, collected: InMemorySpanExporter) -> None:
    """A second attempt is in the same trace and links to the first, which says that it will be tried again."""
    post(lab, {"shards": 0, "preprocess": {"fail": "provider_unavailable", "times": 1}})
    lab.work_off()
    first, second = named(collected, "process preprocess")
    assert first.get_span_context().trace_id == second.get_span_context().trace_id
    assert [link.context.span_id for link in second.links] == [first.get_span_context().span_id]
    assert "retried" in [event.name for event in first.events]


def test_a_run_that_lost_its_worker_stays_in_its_trace(lab: Lab, collected: InMemorySpanExporter) -> None:
    """The steward rings without knowing of traces; the row knows."""
    post(lab, {"shards": 0})
    claim = lab.runs.claim(lab.queued()[0][1], message_id="lost", lease_s=0)
    assert claim is not None
    lab.sweep.requeue_expired()
    lab.work_off()
    (again,) = named(collected, "process download")
    (root,) = named(collected, "POST /v1/jobs")
    assert again.get_span_context().trace_id == root.get_span_context().trace_id
    assert again.attributes is not None
    assert again.attributes["vibeinsight.attempt"] == 2


def test_every_line_says_what_it_belongs_to(lab: Lab, logged: io.StringIO) -> None:
    """Without any receiver of traces: job, run, owner, request and one trace id, in the API and in the stages."""
    job = post(lab, {"shards": 1})
    lab.work_off()
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    request = next(line for line in lines if line["event"] == "request" and line["route"] == "/v1/jobs")
    assert request["owner_id"] == lab.owner
    assert request["request_id"]
    of_runs = [line for line in lines if line["event"].startswith("run.")]
    assert {line["event"] for line in of_runs} >= {"run.started", "run.done"}
    for line in of_runs:
        assert (line["job_id"], line["owner_id"], line["trace_id"]) == (job, lab.owner, request["trace_id"])
        assert {"run_id", "stage", "shard", "attempt"} <= set(line)


def test_each_request_of_a_provider_is_a_span(lab: Lab, collected: InMemorySpanExporter) -> None:
    """A retry is a second span beside the first, and a refused one says how it was refused."""
    from shared.domain.errors import ProviderUnavailable
    from shared.ports.provider import Units

    with traces.span("stage"):
        with pytest.raises(ProviderUnavailable), lab.tools.gate.call("acme", "large", Units(tokens_in=10)):
            raise ProviderUnavailable("it said 503")
        with lab.tools.gate.call("acme", "large", Units(tokens_in=10)):
            pass
    first, second = named(collected, "acme request")
    assert first.attributes is not None
    assert first.attributes["error.type"] == "provider_unavailable"
    assert first.attributes["gen_ai.request.model"] == "large"
    assert second.status.is_ok or second.status.is_unset
    assert (first.kind, first.parent) == (SpanKind.CLIENT, second.parent)
