"""Celery task: prepare the audio."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipelines.stages.preprocess import preprocess
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.job import Job, Stage
from shared.store.runs import JobFacts
from shared.toolbox import Toolbox
from workers.app import app
from workers.context import StageContext, StageOutput, StageWork
from workers.intake import limits as intake_limits
from workers.task import stage_task


def _run(context: StageContext) -> StageOutput:
    tools = context.tools
    document, files = preprocess(
        context.file(Stage.DOWNLOAD, "source"),
        options=context.job.options,
        media=tools.media,
        voice_activity=tools.voice_activity,
        transcriber=tools.transcriber,
        target_shards=tools.settings.transcribe_processes,
        limits=intake_limits(tools.settings),
        workdir=context.workdir,
        tick=context.tick,
    )
    return StageOutput(document, files)


def _parameters(job: Job, tools: Toolbox) -> Mapping[str, object]:
    return {
        "language": job.options.language,
        "denoise": job.options.denoise,
        "speakers": job.options.speakers,
        "target_shards": tools.settings.transcribe_processes,
        "transcriber": asdict(tools.transcriber.provenance),
    }


def _facts(document: Mapping[str, Any]) -> JobFacts:
    return JobFacts(shard_s=tuple(shard["samples"] / SAMPLE_RATE_HZ for shard in document["shards"]))


WORK = StageWork(_run, _parameters, facts=_facts)

task = stage_task(app, Stage.PREPROCESS, WORK)
