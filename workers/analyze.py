"""Celery task: attribute the words, measure the conversation, judge it."""

from collections.abc import Mapping
from dataclasses import asdict

from pipelines.insight.model.budget import Limits
from pipelines.insight.model.coach import coach, coach_parameters
from pipelines.insight.sound import Listening
from pipelines.stages.analyze import analyze, analyze_parameters
from shared.adapters.recordings import opened_recording
from shared.domain.audio import PreparedAudio
from shared.domain.errors import NotAudio, NotFound
from shared.domain.insight import Analysis
from shared.domain.job import Job, Stage
from shared.domain.transcript import Diarization, Transcription
from shared.settings import Settings
from shared.toolbox import Toolbox
from workers.app import app
from workers.context import StageContext, StageOutput, StageWork
from workers.speakers import remembered, said_of_speakers, speaker_parameters, terms_known, voices_known
from workers.specs import max_attempts
from workers.task import stage_task

THINKING_ROOM = 4_000  # tokens of an answer for a model that decides itself how long it thinks


def _run(context: StageContext) -> StageOutput:
    prepared = context.read(Stage.PREPROCESS, PreparedAudio)
    diarization = next(iter(context.read_all(Stage.DIARIZE, Diarization)), None)
    try:
        with opened_recording(context.file(Stage.PREPROCESS, prepared.mix.file)) as recording:
            listening = Listening(recording, context.tools.emotion_model, context.tick)
            measured = _measured(context, prepared, diarization, listening)
    except (NotFound, NotAudio):
        # Kept no longer, or damaged: what was said and when still makes a report, and it says what is missing.
        measured = _measured(context, prepared, diarization, None)
    measured = remembered(context, measured, diarization)
    coached = coach(
        measured,
        context.tools.language_model,
        _limits(context.tools.settings),
        context.tick,
        duration_s=prepared.duration_s,
        last_try=context.attempt >= max_attempts(context.tools.settings)[Stage.ANALYZE],
    )
    return StageOutput(coached.analysis, warnings=coached.analysis.warnings, lasting=coached.lasting)


def _measured(
    context: StageContext, prepared: PreparedAudio, diarization: Diarization | None, listening: Listening | None
) -> Analysis:
    return analyze(
        options=context.job.options,
        prepared=prepared,
        transcriptions=context.read_all(Stage.TRANSCRIBE, Transcription),
        diarization=diarization,
        said=said_of_speakers(context.parameters),
        voices=voices_known(context.parameters),
        terms=terms_known(context.parameters),
        listening=listening,
    )


def _limits(settings: Settings) -> Limits:
    thinking = settings.language_model_thinking_tokens
    return Limits(
        tokens=settings.analysis_token_budget,
        usd=settings.analysis_usd_budget,
        at_once=settings.language_model_at_once,
        thinking_tokens=THINKING_ROOM if thinking is None else thinking,
    )


def _parameters(job: Job, tools: Toolbox) -> Mapping[str, object]:
    own = {**analyze_parameters(job.options), **speaker_parameters(job, tools)}
    emotion = tools.emotion_model
    heard_by = {} if emotion is None else {"emotion": asdict(emotion.provenance)}
    return {**own, **heard_by, "language_model": coach_parameters(tools.language_model)}


WORK = StageWork(_run, _parameters)
task = stage_task(app, Stage.ANALYZE, WORK)
