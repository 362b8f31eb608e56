"""A summary by rules: what was measured, the longest thing the client said in their own words, and what was agreed."""

from collections.abc import Mapping, Sequence

from pipelines.insight.catalogue import Catalogue
from pipelines.insight.conversation import Conversation, Sentence
from pipelines.insight.intervals import to_s
from pipelines.insight.quotes import quote_of
from pipelines.insight.roles import speakers_with
from shared.domain.ids import SpeakerId
from shared.domain.insight import ActionItem, Metrics, Role, Speaker

LEAST_QUOTED_CHARACTERS = 20  # shorter sentences say little on their own

Names = Mapping[SpeakerId | None, str]


def summarise(
    conversation: Conversation,
    speakers: Sequence[Speaker],
    metrics: Metrics,
    actions: Sequence[ActionItem],
    names: Names,
    texts: Catalogue,
) -> str:
    """Sentences that are each true on their own; none is written where nothing was measured."""
    length = texts.duration(to_s(conversation.span_ms))
    key = "summary.length" if len(speakers) > 1 else "summary.length_one"
    parts = [texts.text(key, count=len(speakers), duration=length)]
    parts += [_talk(speaker, metrics, names, texts) for speaker in speakers]
    parts += _quotation(conversation, speakers, texts)
    parts += _agreed(actions, texts)
    return texts.text("summary.join").join(parts)


def _talk(speaker: Speaker, metrics: Metrics, names: Names, texts: Catalogue) -> str:
    own = (metrics.per_speaker or {})[speaker.id]
    key = "summary.talk" if own.open_questions is None else "summary.talk_questions"
    return texts.text(
        key,
        name=names[speaker.id],
        share=texts.percent(own.share),
        questions=own.questions,
        open_questions=own.open_questions,
    )


def _quotation(conversation: Conversation, speakers: Sequence[Speaker], texts: Catalogue) -> list[str]:
    said = conversation.said_by(speakers_with(Role.CLIENT, speakers))
    longest = max(said, key=lambda sentence: len(sentence.segment.text), default=None)
    if longest is None or len(longest.segment.text) < LEAST_QUOTED_CHARACTERS:
        return []
    quote = quote_of(longest.segment)
    return [texts.text("summary.quote", quote=quote if quote == longest.segment.text else f"{quote} …")]


def _agreed(items: Sequence[ActionItem], texts: Catalogue) -> list[str]:
    return [texts.text("summary.actions", count=len(items))] if items else []


def action_items(conversation: Conversation, speakers: Sequence[Speaker]) -> tuple[ActionItem, ...]:
    """Sentences in which somebody says what they will do and by when: "I will call her by Friday"."""
    owners = {s.id: str(s.id) if s.role is Role.UNKNOWN else str(s.role) for s in speakers}
    return tuple(_action(sentence, owners) for sentence in conversation.sentences if sentence.commitment)


def _action(sentence: Sentence, owners: Mapping[SpeakerId, str]) -> ActionItem:
    owner = owners.get(sentence.speaker, str(Role.UNKNOWN)) if sentence.speaker else str(Role.UNKNOWN)
    return ActionItem(sentence.text, owner, sentence.segment.id)
