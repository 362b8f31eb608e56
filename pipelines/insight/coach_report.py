"""Puts the report together from what was measured. One function a case: a conversation, speech alone, nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.insight.catalogue import Catalogue
from pipelines.insight.coaching import Assessment, assess, pair_of
from pipelines.insight.conversation import Conversation
from pipelines.insight.diagnosis import diagnose
from pipelines.insight.emotion.analysis import Emotions
from pipelines.insight.events import conversation_events, silence_events
from pipelines.insight.metrics import measure_metrics, metrics_without_speakers
from pipelines.insight.not_measured import reasons, reasons_of_feeling
from pipelines.insight.prescriptions import prescribe
from pipelines.insight.prosody.summary import prosody_of
from pipelines.insight.sound import UNHEARD, Sound
from pipelines.insight.summary import action_items, summarise
from shared.domain.ids import SpeakerId
from shared.domain.insight import (
    CoachingSkills,
    EmotionAnalysis,
    Metrics,
    NotMeasured,
    Report,
    Skill,
    Speaker,
    SpeakerAnalysis,
    SpeakerProsody,
)

SKILLS = ("listening", "questioning", "empathy", "feedback")
NO_EMOTION = EmotionAnalysis(coach=None, client=None, timeline=())


@dataclass(frozen=True, slots=True)
class Insight:
    metrics: Metrics
    report: Report
    not_measured: tuple[NotMeasured, ...]
    dropped_quotes: int = 0
    prosody: dict[SpeakerId, SpeakerProsody] | None = None


def insight_of_conversation(
    conversation: Conversation, speakers: tuple[Speaker, ...], texts: Catalogue, sound: Sound = UNHEARD
) -> Insight:
    metrics = measure_metrics(conversation, speakers)
    assessment = assess(pair_of(conversation, speakers), texts)
    emotion = Emotions(conversation, sound.voices, sound.judged).analysis(speakers)
    prosody = None if sound.voices is None else prosody_of(conversation, sound.voices)
    report = _report(conversation, speakers, metrics, assessment, emotion, texts)
    why = (
        *reasons(metrics, speakers, assessment.missing, texts),
        *reasons_of_feeling(emotion, prosody, speakers, texts),
    )
    return Insight(metrics, report, why, assessment.dropped_quotes, prosody)


def _report(
    conversation: Conversation,
    speakers: tuple[Speaker, ...],
    metrics: Metrics,
    assessment: Assessment,
    emotion: EmotionAnalysis,
    texts: Catalogue,
) -> Report:
    names: Mapping[SpeakerId | None, str] = texts.speakers(speakers)
    actions = action_items(conversation, speakers)
    return Report(
        speaker_analysis=_speaker_analysis(metrics),
        coaching_skills=assessment.skills,
        emotion_analysis=emotion,
        conversation_events=conversation_events(conversation, metrics.reflective_silences, names, texts),
        diagnosis=diagnose(assessment, texts),
        prescriptions=prescribe(conversation, assessment, texts),
        summary=summarise(conversation, speakers, metrics, actions, names, texts),
        action_items=actions,
    )


def insight_without_speakers(conversation: Conversation, reason: str, texts: Catalogue) -> Insight:
    """For speech whose speakers are not known, and for recordings without any: what is left, and why no more."""
    metrics = metrics_without_speakers(conversation)
    unscored = Skill(None, None, texts.text(f"reason.{reason}"), ())
    report = Report(
        speaker_analysis=_speaker_analysis(metrics),
        coaching_skills=CoachingSkills(**dict.fromkeys(SKILLS, unscored)),
        emotion_analysis=NO_EMOTION,
        conversation_events=tuple(silence_events(metrics.reflective_silences, texts.speakers(()), texts)),
        diagnosis=None,
        prescriptions=(),
        summary=texts.text(f"summary.{reason}"),
        action_items=action_items(conversation, ()),
    )
    why = (
        *reasons(metrics, (), dict.fromkeys(SKILLS, reason), texts, whole=reason),
        *reasons_of_feeling(NO_EMOTION, None, (), texts, whole=reason),
    )
    return Insight(metrics, report, why)


def _speaker_analysis(metrics: Metrics) -> SpeakerAnalysis:
    return SpeakerAnalysis(metrics.coach_speaking_ratio, metrics.client_speaking_ratio, metrics.gini_coefficient)
