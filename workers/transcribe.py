"""Celery task: write down one shard."""

from collections.abc import Mapping
from dataclasses import asdict

from pipelines.stages.transcribe import transcribe
from pipelines.text.invented import GUARDS_VERSION
from pipelines.text.script import base_language
from shared.domain.audio import PreparedAudio
from shared.domain.job import Job, Stage
from shared.toolbox import Toolbox
from workers.app import app
from workers.context import StageContext, StageOutput, StageWork
from workers.speakers import glossary_of
from workers.task import stage_task


def _run(context: StageContext) -> StageOutput:
    prepared = context.read(Stage.PREPROCESS, PreparedAudio)
    shard = prepared.shards[context.shard]
    detected = prepared.language.code if prepared.language else None
    document = transcribe(
        shard,
        context.file(Stage.PREPROCESS, shard.file),
        language=base_language(context.job.options.language) or detected,
        transcriber=context.tools.transcriber,
        tick=context.tick,
        terms=context.parameters.get("terms", ()),
    )
    return StageOutput(document)


def _parameters(job: Job, tools: Toolbox) -> Mapping[str, object]:
    language = base_language(job.options.language)
    terms = [term.text for term in glossary_of(job, tools) if term.language in (None, language) or language is None]
    hint = {"terms": terms} if terms else {}
    return {**hint, "guards": GUARDS_VERSION, "language": language, "transcriber": asdict(tools.transcriber.provenance)}


WORK = StageWork(_run, _parameters)

task = stage_task(app, Stage.TRANSCRIBE, WORK)
