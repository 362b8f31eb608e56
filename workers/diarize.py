"""Celery task: tell the speakers apart."""

from collections.abc import Mapping
from dataclasses import asdict

from pipelines.stages.diarize import diarize
from shared.domain.audio import PreparedAudio
from shared.domain.job import Job, Stage
from shared.toolbox import Toolbox
from workers.app import app
from workers.context import StageContext, StageOutput, StageWork
from workers.task import stage_task


def _run(context: StageContext) -> StageOutput:
    prepared = context.read(Stage.PREPROCESS, PreparedAudio)
    document = diarize(
        prepared,
        context.file(Stage.PREPROCESS, prepared.mix.file),
        options=context.job.options,
        diarizer=context.tools.diarizer,
        embedder=context.tools.embedder,
        tick=context.tick,
    )
    return StageOutput(document)


def _parameters(job: Job, tools: Toolbox) -> Mapping[str, object]:
    return {
        "speakers": job.options.speakers,
        "diarizer": asdict(tools.diarizer.provenance),
        "voices": tools.embedder.model,
    }


WORK = StageWork(_run, _parameters)

task = stage_task(app, Stage.DIARIZE, WORK)
