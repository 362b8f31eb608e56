"""Celery task: attribute the words, measure the conversation, judge it."""

from collections.abc import Mapping

from pipelines.insight.model.budget import Limits
from pipelines.insight.model.coach import coach, coach_parameters
from pipelines.stages.analyze import analyze, analyze_parameters
from shared.domain.audio import PreparedAudio
from shared.domain.job import Job, Stage
from shared.domain.speakers import KnownVoice, SpeakerChange, all_said
from shared.domain.transcript import Diarization, Transcription
from shared.settings import Settings
from shared.store.rows import from_json, to_json, to_json_list
from shared.toolbox import Toolbox
from workers.app import app
from workers.context import StageContext, StageOutput, StageWork
from workers.specs import max_attempts
from workers.task import stage_task

THINKING_ROOM = 4_000  # tokens of an answer for a model that decides itself how long it thinks


def _run(context: StageContext) -> StageOutput:
    prepared = context.read(Stage.PREPROCESS, PreparedAudio)
    diarizations = context.read_all(Stage.DIARIZE, Diarization)
    measured = analyze(
        options=context.job.options,
        prepared=prepared,
        transcriptions=context.read_all(Stage.TRANSCRIBE, Transcription),
        diarization=diarizations[0] if diarizations else None,
        said=from_json(SpeakerChange, context.parameters["said"]),
        voices=from_json(tuple[KnownVoice, ...], context.parameters["voices"]),
    )
    coached = coach(
        measured,
        context.tools.language_model,
        _limits(context.tools.settings),
        context.tick,
        duration_s=prepared.duration_s,
        last_try=context.attempt >= max_attempts(context.tools.settings)[Stage.ANALYZE],
    )
    return StageOutput(coached.analysis, warnings=coached.analysis.warnings, lasting=coached.lasting)


def _limits(settings: Settings) -> Limits:
    thinking = settings.language_model_thinking_tokens
    return Limits(
        tokens=settings.analysis_token_budget,
        usd=settings.analysis_usd_budget,
        at_once=settings.language_model_at_once,
        thinking_tokens=THINKING_ROOM if thinking is None else thinking,
    )


def _parameters(job: Job, tools: Toolbox) -> Mapping[str, object]:
    """With what people said of the speakers, and the voices that the owner has enrolled, as they are now."""
    said = all_said(made.change for made in tools.ledger.corrections_of_job(job.id) if made.applies)
    voices = tools.ledger.known_voices(job.owner_id)
    own = {**analyze_parameters(job.options), "said": to_json(said), "voices": to_json_list(voices)}
    return {**own, "language_model": coach_parameters(tools.language_model)}


WORK = StageWork(_run, _parameters)
task = stage_task(app, Stage.ANALYZE, WORK)
