"""Celery task: attribute the words, measure the conversation, judge it."""

from collections.abc import Mapping

from pipelines.stages.analyze import analyze, analyze_parameters
from shared.domain.audio import PreparedAudio
from shared.domain.job import Job, Stage
from shared.domain.speakers import KnownVoice, SpeakerChange, all_said
from shared.domain.transcript import Diarization, Transcription
from shared.store.rows import from_json, to_json, to_json_list
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
        said=from_json(SpeakerChange, context.parameters["said"]),
        voices=from_json(tuple[KnownVoice, ...], context.parameters["voices"]),
    )
    return StageOutput(document, warnings=document.warnings)


def _parameters(job: Job, tools: Toolbox) -> Mapping[str, object]:
    """With what people said of the speakers, and the voices that the owner has enrolled, as they are now."""
    said = all_said(made.change for made in tools.ledger.corrections_of_job(job.id) if made.applies)
    voices = tools.ledger.known_voices(job.owner_id)
    return {**analyze_parameters(job.options), "said": to_json(said), "voices": to_json_list(voices)}


WORK = StageWork(_run, _parameters)
task = stage_task(app, Stage.ANALYZE, WORK)
