"""Celery task: fetch the recording."""

from collections.abc import Mapping
from typing import Any

from pipelines.stages.download import download
from shared.domain.ids import UploadId
from shared.domain.job import Job, SourceKind, Stage
from shared.store.runs import JobFacts
from shared.toolbox import Toolbox
from workers.app import app
from workers.context import StageContext, StageOutput, StageWork
from workers.intake import limits as intake_limits
from workers.task import stage_task


def _run(context: StageContext) -> StageOutput:
    source, tools = context.job.source, context.tools
    of_upload = source.kind is SourceKind.UPLOAD
    upload_key = tools.ledger.get_upload(context.job.owner_id, UploadId(source.value)).key if of_upload else None
    document, path = download(
        source,
        fetcher=tools.fetcher,
        objects=tools.objects,
        media=tools.media,
        limits=intake_limits(tools.settings),
        workdir=context.workdir,
        upload_key=upload_key,
        tick=context.tick,
    )
    tools.owner_use.count_audio(context.job.owner_id, context.job.id, document.facts.duration_s)
    return StageOutput(document, {"source": path})


def _parameters(job: Job, tools: Toolbox) -> Mapping[str, object]:
    return {}


def _facts(document: Mapping[str, Any]) -> JobFacts:
    return JobFacts(audio_s=document["facts"]["duration_s"])


WORK = StageWork(_run, _parameters, facts=_facts, content_key=lambda document: str(document["sha256"]))

task = stage_task(app, Stage.DOWNLOAD, WORK)
