"""Celery task: the result document and the spoken summary."""

from collections.abc import Mapping
from datetime import UTC, datetime

from pipelines.stages.synthesize import Known, synthesize, synthesize_parameters
from shared.domain.audio import PreparedAudio, SourceAudio
from shared.domain.insight import Analysis
from shared.domain.job import Job, Stage
from shared.domain.transcript import Diarization, Provenance, Transcription
from shared.toolbox import Toolbox
from workers.app import app
from workers.context import StageContext, StageOutput, StageWork
from workers.task import stage_task


def _run(context: StageContext) -> StageOutput:
    wanted = context.job.options.spoken_summary
    document, files, warnings = synthesize(
        _known(context),
        synthesizer=context.tools.synthesizer if wanted else None,
        workdir=context.workdir,
        now=datetime.now(UTC),
    )
    return StageOutput(document, files, warnings)


def _known(context: StageContext) -> Known:
    return Known(
        job=context.job,
        source=context.read(Stage.DOWNLOAD, SourceAudio),
        prepared=context.read(Stage.PREPROCESS, PreparedAudio),
        analysis=context.read(Stage.ANALYZE, Analysis),
        provenance=_provenance(context),
        timings=context.worked_s(),
    )


def _provenance(context: StageContext) -> dict[Stage, Provenance]:
    """Shards of one job share an engine: the first speaks for all."""
    transcribed = [document.provenance for document in context.read_all(Stage.TRANSCRIBE, Transcription)]
    diarized = [document.provenance for document in context.read_all(Stage.DIARIZE, Diarization)]
    found = {Stage.TRANSCRIBE: transcribed, Stage.DIARIZE: diarized}
    return {stage: engines[0] for stage, engines in found.items() if engines}


def _parameters(job: Job, tools: Toolbox) -> Mapping[str, object]:
    return synthesize_parameters(job)


WORK = StageWork(_run, _parameters)
task = stage_task(app, Stage.SYNTHESIZE, WORK)
