"""Celery task: listen to a voice's sample. The row says what is to be done; the message carries its id and no more.

Done twice it gives the same vector, and whoever ends it first wins: so it needs no lease, only a time after which
somebody else may be asked.
"""

import structlog
from celery import Task
from celery.exceptions import SoftTimeLimitExceeded

from pipelines.audio.listen import hear, spans
from pipelines.stages.enrol import enrol
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.errors import NotFound, VibeInsightError
from shared.domain.ids import VoiceId
from shared.domain.speakers import VoiceError
from shared.ports.tick import no_tick
from shared.queue.names import ENROL_TASK
from shared.settings import load_settings
from shared.store.voices import Sample, Voiceprint
from shared.toolbox import Toolbox
from workers.app import app
from workers.intake import limits as intake_limits
from workers.process import give_memory_back, toolbox
from workers.workdir import workdir

TRY_AGAIN_S = 30.0  # an object store that restarts is back by then

log = structlog.get_logger(__name__)


def enrol_voice(voice_id: VoiceId, tools: Toolbox) -> None:
    """Ends with the voice ready or refused, or leaves it for later."""
    sample = tools.ledger.take_sample(voice_id)
    if sample is None:
        log.info("voice.not_due", voice_id=voice_id)
        return
    try:
        tools.ledger.enrol(voice_id, _listen(sample, tools))
        log.info("voice.ready", voice_id=voice_id)
    except VibeInsightError as error:
        if error.retryable:
            log.warning("voice.later", voice_id=voice_id, code=error.code)
            tools.ledger.try_later(voice_id, TRY_AGAIN_S)
            return
        log.info("voice.refused", voice_id=voice_id, code=error.code)
        tools.ledger.refuse(voice_id, VoiceError(error.code, error.message))
    _forget(sample, tools)


def _listen(sample: Sample, tools: Toolbox) -> Voiceprint:
    limits = intake_limits(tools.settings)
    with workdir(f"voice-{sample.voice_id}") as folder:
        source = folder / "sample"
        tools.objects.get(sample.key, source)
        limits.check_longest(tools.media.probe(source).duration_s)
        decoded = tools.media.decode(source, folder, denoise=False, on_progress=no_tick)
        probabilities = hear(decoded.mix, None, tools.voice_activity, no_tick)
        speech = spans(probabilities, decoded.samples / SAMPLE_RATE_HZ)
        known = enrol(decoded.mix, speech, diarizer=tools.diarizer, embedder=tools.embedder, tick=no_tick)
    return Voiceprint(known.wide, known.telephone, known.model, known.speech_s)


def _forget(sample: Sample, tools: Toolbox) -> None:
    """A recording that was sent for this alone has done its service."""
    if sample.drop is None:
        return
    try:
        tools.objects.delete_prefix(sample.key.rpartition("/")[0] + "/")
        tools.ledger.drop_upload(sample.owner_id, sample.drop)  # type: ignore[arg-type]
    except (NotFound, VibeInsightError) as error:
        log.warning("voice.sample_left", voice_id=sample.voice_id, code=error.code)


def _run(self: Task, voice_id: str) -> None:
    try:
        enrol_voice(VoiceId(voice_id), toolbox())
    except SoftTimeLimitExceeded:
        log.warning("voice.timed_out", voice_id=voice_id)
        toolbox().ledger.database.forget_connections()
        raise SystemExit("a new process takes this one's place") from None
    give_memory_back()


_LIMITS = {"soft_time_limit": load_settings().soft_limit_s, "time_limit": load_settings().hard_limit_s}
task = app.task(name=ENROL_TASK, bind=True, **_LIMITS)(_run)
