"""Advice for the weakest measured points, each with the moment in this conversation that shows it."""

from pipelines.insight.catalogue import Catalogue
from pipelines.insight.coaching import Assessment, describe
from pipelines.insight.conversation import Conversation
from pipelines.insight.indicators import Indicator
from pipelines.insight.quotes import quote_of
from shared.domain.insight import Prescription

WEAK = 0.5  # below the middle of an indicator's range
MOST_PRESCRIPTIONS = 3  # more than three changes at once are none


def prescribe(conversation: Conversation, assessment: Assessment, texts: Catalogue) -> tuple[Prescription, ...]:
    """Weakest first; of equal ones in the order of the skills."""
    found = [(skill, i) for skill, all_of in assessment.indicators.items() for i in all_of if i.score < WEAK]
    weakest = sorted(found, key=lambda pair: pair[1].score)[:MOST_PRESCRIPTIONS]
    return tuple(_prescription(conversation, skill, indicator, texts) for skill, indicator in weakest)


def _prescription(conversation: Conversation, skill: str, indicator: Indicator, texts: Catalogue) -> Prescription:
    at_ms = indicator.at_ms
    segment = None if at_ms is None else conversation.segment_at(at_ms, indicator.speaker)
    return Prescription(
        key=indicator.key,
        skill=skill,
        title=texts.text(f"prescription.{indicator.key}.title"),
        text=texts.text(f"prescription.{indicator.key}.text", measured=describe(indicator, texts)),
        start_s=segment.start_s if segment else None,
        segment_id=segment.id if segment else None,
        quote=quote_of(segment) if segment else None,
    )
