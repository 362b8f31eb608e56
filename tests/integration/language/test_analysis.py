"""Jobs through the real runner, ledger and gate, with a language model behind the analyze stage."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from shared.domain.ids import JobId
from shared.domain.job import JobStatus, Stage
from shared.domain.wire import result_from_dict, result_to_dict
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.coaching_models import honest
from tests.integration.speakers.conftest import Recordings
from tests.language_server import MODEL, LanguageServer, Reply, serving
from workers.context import StageContext, StageOutput, StageWork
from workers.specs import max_attempts

pytestmark = pytest.mark.integration

ROLES = ("coach", "client")
LAST_TWO = [Stage.ANALYZE, Stage.SYNTHESIZE]


@pytest.fixture(scope="module")
def running() -> Iterator[LanguageServer]:
    with serving(honest) as server:
        yield server


@pytest.fixture
def server(running: LanguageServer) -> LanguageServer:
    running.model = honest
    return running.reset()


@pytest.fixture(autouse=True)
def _broker(settings: Settings) -> Iterator[None]:
    """Celery's application is made when the tasks are imported."""
    assert settings.redis_url is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIBEINSIGHT_REDIS_URL", settings.redis_url.get_secret_value())
        yield


class Place:
    """Workers with settings of a test's own, over one database and owner."""

    def __init__(self, settings: Settings, server: LanguageServer) -> None:
        self._settings, self._server = settings, server
        self._open: list[Toolbox] = []
        self.owner = self.tools().ledger.create_owner("test")

    def tools(self, **more: Any) -> Toolbox:
        own = {
            "language_model": "gemini",
            "language_model_name": MODEL,
            "language_model_base_url": self._server.url,
            "language_model_key": SecretStr("a-key"),
            "retry_base_s": 0.0,
        }
        self._open.append(Toolbox(self._settings.model_copy(update={**own, **more})))
        return self._open[-1]

    def workers(self, **more: Any) -> Recordings:
        return Recordings(self.tools(**more), self.owner)

    def close(self) -> None:
        for tools in self._open:
            tools.close()


@pytest.fixture
def place(settings: Settings, server: LanguageServer) -> Iterator[Place]:
    made = Place(settings, server)
    yield made
    made.close()


def _codes(result: dict[str, Any]) -> set[str]:
    return {warning["code"] for warning in result["job"]["warnings"]}


def _again(workers: Recordings, job_id: JobId) -> dict[str, Any]:
    workers.tools.ledger.retry(workers.owner, job_id, from_stage=Stage.ANALYZE)
    workers.work_off()
    return workers.result(job_id)


def test_a_report_by_a_model(place: Place) -> None:
    """The document holds the model's part with its provenance, is valid, and its cost is in the book."""
    workers = place.workers()
    job_id = workers.finished(roles=ROLES)
    result = workers.result(job_id)
    assert set(result["report"]["basis"].values()) == {"model"}
    assert result["provenance"]["analyze"]["model"] == MODEL
    assert result["provenance"]["analyze"]["prompt_version"].startswith("1:en:")
    assert result_to_dict(result_from_dict(result))["report"] == result["report"]
    with workers.tools.ledger.database.begin() as connection:
        query = f"SELECT tokens_in, tokens_out, micro_usd > 0 FROM provider_calls WHERE job_id = '{job_id}'"
        booked = [tuple(row) for row in connection.exec_driver_sql(query)]
    assert booked == [(1000, 200, True)] * 2


def test_another_model_costs_the_analysis_alone(place: Place, server: LanguageServer) -> None:
    """Retried from analyze with another model: what was heard is not heard again."""
    job_id = place.workers().finished(roles=ROLES)
    others = place.workers(language_model_name="test-model-2")
    assert _again(others, job_id)["provenance"]["analyze"]["model"] == "test-model-2"
    assert (others.worked, len(server.asked)) == (LAST_TWO, 4)


def test_the_same_conversation_is_analysed_once(place: Place, server: LanguageServer) -> None:
    """A second job of the same recording asks nobody; one with another model does."""
    first, second = _of_one_recording(place.workers()), _of_one_recording(place.workers())
    first.finished(roles=ROLES)
    assert second.result(second.finished(roles=ROLES))["provenance"]["analyze"]["model"] == MODEL
    assert len(server.asked) == 2
    _of_one_recording(place.workers(language_model_seed=2)).finished(roles=ROLES)
    assert len(server.asked) == 4


def test_what_a_model_refused_is_asked_again(place: Place, server: LanguageServer) -> None:
    """A report that stands on rules because a model failed is not kept in the cache."""
    server.model = lambda asked: Reply(blocked="SAFETY")
    workers = _of_one_recording(place.workers())
    refused = workers.result(workers.finished(roles=ROLES))
    assert refused["job"]["status"] == JobStatus.COMPLETED_WITH_WARNINGS
    assert "content_filtered" in _codes(refused)
    assert refused["provenance"]["analyze"]["model"] == "rules"
    server.model = honest
    assert set(workers.result(workers.finished(roles=ROLES))["report"]["basis"].values()) == {"model"}


def _of_one_recording(workers: Recordings) -> Recordings:
    """Jobs of which the cache cannot tell that they are two."""
    for stage in (Stage.DOWNLOAD, Stage.PREPROCESS, Stage.TRANSCRIBE, Stage.DIARIZE):
        workers.works[stage] = replace(workers.works[stage], parameters=lambda job, tools: {})
    return workers


def test_a_provider_that_is_away_costs_the_model_and_not_the_report(place: Place, server: LanguageServer) -> None:
    """On the last attempt the rules' report is there, with a warning; earlier ones are the ledger's to try again."""
    server.model = lambda asked: Reply(status=503)
    workers = place.workers()
    analyze = workers.works[Stage.ANALYZE]
    workers.works[Stage.ANALYZE] = replace(analyze, run=_on_the_last_attempt(analyze))
    result = workers.result(workers.finished(roles=ROLES))
    assert "provider_unavailable" in _codes(result)
    assert set(result["report"]["basis"].values()) == {"rules"}


def _on_the_last_attempt(work: StageWork) -> Callable[[StageContext], StageOutput]:
    def run(context: StageContext) -> StageOutput:
        context.attempt = max_attempts(context.tools.settings)[Stage.ANALYZE]
        return work.run(context)

    return run


def test_the_jobs_own_money_is_used_up(place: Place, server: LanguageServer) -> None:
    """The gate's cap holds too: nothing is asked, the rules' report stands."""
    workers = place.workers(job_budget_usd=0.000_001)
    result = workers.result(workers.finished(roles=ROLES))
    assert "budget_exhausted" in _codes(result)
    assert server.asked == []


def test_a_missing_name_is_said(place: Place) -> None:
    """A half-made configuration fails with the setting to set; it is not taken for "no model"."""
    workers = place.workers(language_model_name=None)
    job_id = workers.finished(roles=ROLES)
    job = workers.tools.ledger.get_job(workers.owner, job_id)
    assert job.error is not None
    assert (job.status, job.error.code, job.error.stage) == (JobStatus.FAILED, "setup_error", Stage.ANALYZE)
    assert "LANGUAGE_MODEL_NAME" in job.error.message
