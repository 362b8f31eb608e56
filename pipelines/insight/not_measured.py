"""Why a field is null. Every null that a reader can meet in metrics and report gets its reason here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from pipelines.insight.catalogue import Catalogue
from pipelines.insight.coaching import NO_ROLES, NO_RULES
from pipelines.insight.emotion.analysis import WORDS
from shared.domain.ids import SpeakerId
from shared.domain.insight import EmotionAnalysis, Metrics, NotMeasured, Role, Speaker, SpeakerProsody

NO_SPEECH = "no_speech"
NO_SPEAKERS = "speakers_not_separated"
SINGLE_SPEAKER = "single_speaker"
NO_EXCHANGE = "no_exchange"
TOO_FEW_WORDS = "too_few_words"
NO_FEELING_WORDS = "language_without_lexicon"
NOT_HEARD = "sound_not_heard"
TOO_LITTLE_VOICE = "too_little_voice"

_NEEDS_ROLES = ("coach_speaking_ratio", "client_speaking_ratio", "patience_s", "think_time_s")
_ALSO_IN_REPORT = ("coach_speaking_ratio", "client_speaking_ratio", "gini_coefficient")


def reasons(
    metrics: Metrics,
    speakers: Sequence[Speaker],
    missing_skills: Mapping[str, str],
    texts: Catalogue,
    whole: str | None = None,
) -> tuple[NotMeasured, ...]:
    """`whole`: the one reason for everything, when there was no speech or nobody could be told apart."""
    found = [
        *_of_metrics(metrics, speakers, whole),
        *_of_words(metrics),
        *((f"report.coaching_skills.{skill}.score", whole or code) for skill, code in missing_skills.items()),
        *((("report.diagnosis", whole or next(iter(missing_skills.values()))),) if missing_skills else ()),
    ]
    return tuple(NotMeasured(path, code, texts.text(f"reason.{code}")) for path, code in found)


def _of_metrics(metrics: Metrics, speakers: Sequence[Speaker], whole: str | None) -> Iterator[tuple[str, str]]:
    for name in (field.name for field in fields(metrics)):
        if getattr(metrics, name) is None:
            code = whole or _why(name, speakers)
            yield f"metrics.{name}", code
            if name in _ALSO_IN_REPORT:
                yield f"report.speaker_analysis.{name}", code


def _why(name: str, speakers: Sequence[Speaker]) -> str:
    if len(speakers) < 2 and name not in ("coach_speaking_ratio", "client_speaking_ratio"):
        return SINGLE_SPEAKER
    roles = {speaker.role for speaker in speakers}
    if name in _NEEDS_ROLES and not {Role.COACH, Role.CLIENT} <= roles:
        return NO_ROLES
    return NO_EXCHANGE


def _of_words(metrics: Metrics) -> Iterator[tuple[str, str]]:
    for name in ("open_questions", "fillers"):
        if any(getattr(own, name) is None for own in (metrics.per_speaker or {}).values()):
            yield f"metrics.per_speaker.*.{name}", NO_RULES


def reasons_of_feeling(
    emotion: EmotionAnalysis,
    prosody: Mapping[SpeakerId, SpeakerProsody] | None,
    speakers: Sequence[Speaker],
    texts: Catalogue,
    whole: str | None = None,
) -> tuple[NotMeasured, ...]:
    """For what is null of emotion and of the voice."""
    found = [
        (f"report.emotion_analysis.{role}", whole or _why_no_shares(role, emotion, speakers))
        for role in (Role.COACH, Role.CLIENT)
        if getattr(emotion, role) is None
    ]
    if prosody is None:
        found.append(("prosody", whole or NOT_HEARD))
    else:
        unheard = [speaker.id for speaker in speakers if speaker.id not in prosody]
        found += [(f"prosody.{speaker}", TOO_LITTLE_VOICE) for speaker in unheard]
    return tuple(NotMeasured(path, code, texts.text(f"reason.{code}")) for path, code in found)


def _why_no_shares(role: Role, emotion: EmotionAnalysis, speakers: Sequence[Speaker]) -> str:
    if WORDS not in emotion.sources:
        return NO_FEELING_WORDS
    return TOO_FEW_WORDS if role in {speaker.role for speaker in speakers} else NO_ROLES
