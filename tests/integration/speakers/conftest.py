"""A served API with real analysis behind it: jobs whose words and turns are known, corrected and recognised."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.domain.audio import MediaFacts, PreparedAudio, SourceAudio
from shared.domain.ids import JobId, OwnerId, SpeakerId
from shared.domain.job import JobOptions, Source, SourceKind, Stage
from shared.toolbox import Toolbox
from tests.insight_samples import COACHING, diarization_of, prepared_of, transcription_of
from tests.integration.api.harness import WITHIN_S, served
from workers.context import StageContext, StageOutput, StageWork
from workers.runner import Runner

VOICES = {SpeakerId("S1"): (1.0, 0.0, 0.0), SpeakerId("S2"): (0.0, 1.0, 0.0)}
MODEL = "three-values"


def _known(document: object) -> StageWork:
    """A stage that leaves what the test knows, instead of listening."""

    def run(context: StageContext) -> StageOutput:
        peaks = context.workdir / "audio.flac"
        peaks.write_bytes(b"flac")
        return StageOutput(document, {"audio.flac": peaks} if isinstance(document, PreparedAudio) else {})

    return StageWork(run, lambda job, tools: {"job": job.id})


class Recordings:
    """Jobs through the real runner, with the real last two stages."""

    def __init__(self, tools: Toolbox, owner: OwnerId) -> None:
        self.tools, self.owner = tools, owner
        self.runner = Runner(tools)
        self.worked: list[Stage] = []
        voiced = replace(diarization_of(COACHING), embeddings=VOICES, embedding_model=MODEL)
        source = SourceAudio("ab" * 32, MediaFacts(72.0, 16_000, 1, "flac", "flac", 1000), "url")
        prepared = prepared_of(COACHING)
        from workers import analyze, download, preprocess, synthesize  # they want a broker's address at import

        self.works = {
            Stage.DOWNLOAD: replace(_known(source), facts=download.WORK.facts),
            Stage.PREPROCESS: replace(_known(prepared), facts=preprocess.WORK.facts),
            Stage.TRANSCRIBE: _known(transcription_of(COACHING)),
            Stage.DIARIZE: _known(voiced),
            Stage.ANALYZE: analyze.WORK,
            Stage.SYNTHESIZE: synthesize.WORK,
        }

    def finished(self, **options: Any) -> JobId:
        source = Source(SourceKind.URL, "https://lab.invalid/x")
        chosen = JobOptions(spoken_summary=False, **options)
        job_id = self.tools.ledger.create_job(self.owner, source=source, options=chosen).job.id
        self.work_off()
        return job_id

    def work_off(self) -> None:
        self.worked = []
        while due := self._queued():
            for stage, run_id in due:
                self.worked.append(stage)
                self.runner.run(run_id, self.works[stage], f"message-{run_id}")

    def result(self, job_id: JobId) -> dict[str, Any]:
        return self.tools.ledger.result(self.owner, job_id)

    def _queued(self) -> list[tuple[Stage, Any]]:
        with self.tools.ledger.database.begin() as connection:
            query = "SELECT stage, id::text FROM stage_runs WHERE status = 'queued' ORDER BY created_at"
            return [(Stage(stage), run_id) for stage, run_id in connection.exec_driver_sql(query)]


@pytest.fixture(autouse=True)
def _broker(toolbox: Toolbox) -> Iterator[None]:
    """Celery's application is made when the tasks are imported."""
    assert toolbox.settings.redis_url is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIBEINSIGHT_REDIS_URL", toolbox.settings.redis_url.get_secret_value())
        yield


@pytest.fixture
def recordings(toolbox: Toolbox, owner: OwnerId) -> Recordings:
    return Recordings(toolbox, owner)


@pytest.fixture
def client(toolbox: Toolbox, owner: OwnerId) -> Iterator[httpx.Client]:
    """The owner's."""
    key = toolbox.ledger.create_api_key(owner, "test")
    with served(toolbox) as address:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=address, headers=headers, timeout=WITHIN_S) as made:
            yield made


@pytest.fixture
def sample_folder(shared_audio: Path) -> Path:
    return shared_audio / "librispeech_other"
