"""Celery task: attribute the words, measure the conversation, judge it."""

from collections.abc import Mapping

from pipelines.stages.analyze import analyze, analyze_parameters
from shared.domain.audio import PreparedAudio
from shared.domain.job import Job, Stage
from shared.domain.transcript import Diarization, Transcription
from shared.toolbox import Toolbox
from workers.app import app
from workers.context import StageContext, StageOutput, StageWork
from workers.task import stage_task


def _run(context: StageContext) -> StageOutput:
    diarizations = context.read_all(Stage.DIARIZE, Diarization)
    document = analyze(
        options=context.job.options,
        prepared=context.read(Stage.PREPROCESS, PreparedAudio),
        transcriptions=context.read_all(Stage.TRANSCRIBE, Transcription),
        diarization=diarizations[0] if diarizations else None,
    )
    return StageOutput(document, warnings=document.warnings)


def _parameters(job: Job, tools: Toolbox) -> Mapping[str, object]:
    return analyze_parameters(job.options)


WORK = StageWork(_run, _parameters)
task = stage_task(app, Stage.ANALYZE, WORK)
