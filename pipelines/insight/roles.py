"""Who is the coach: as the caller says, by order of first speech or of channel; else from how each talks.

A coach asks more, asks more openly, talks less, and opens and closes the session. Each of the four signs gives every
speaker a share, and the shares add up with the weights below. The top speaker is the coach when clearly ahead;
otherwise nobody is, and everything that needs a role stays unmeasured.
"""

from collections.abc import Mapping, Sequence

from pipelines.insight.conversation import Conversation, Sentence
from pipelines.insight.language.rules import QuestionKind
from shared.domain.ids import SpeakerId
from shared.domain.insight import Role, RoleSource, Speaker

ASKS_WEIGHT = 0.45  # the strongest sign: in coaching nearly all questions are the coach's
ASKS_OPENLY_WEIGHT = 0.2
LISTENS_WEIGHT = 0.25
FRAMES_WEIGHT = 0.1  # whoever opens and whoever closes: weak, the client may well speak first
LEAST_QUESTIONS = 3  # fewer say nothing about who asks
CLEAR_LEAD = 0.2  # of the summed shares: 0.6 against 0.4 between two speakers
MOST_CONFIDENCE = 0.9  # behaviour alone never proves a role
FULL_EVIDENCE = 12  # questions: what an ordinary session of a quarter of an hour has


def assign_roles(
    conversation: Conversation,
    roles: Sequence[str],
    channel_speakers: Mapping[int, SpeakerId],
) -> tuple[Speaker, ...]:
    """All speakers in order of first speech, each with a role, where it comes from and how sure it is."""
    speakers = conversation.speakers
    if roles and channel_speakers:
        by_channel = [channel_speakers[channel] for channel in sorted(channel_speakers)]
        return _given(speakers, by_channel, roles, RoleSource.CHANNEL)
    if roles:
        return _given(speakers, speakers, roles, RoleSource.OPTIONS)
    return _by_behaviour(conversation)


def speakers_with(role: Role, speakers: Sequence[Speaker]) -> list[SpeakerId]:
    return [speaker.id for speaker in speakers if speaker.role is role]


def _given(
    speakers: Sequence[SpeakerId], order: Sequence[SpeakerId], roles: Sequence[str], source: RoleSource
) -> tuple[Speaker, ...]:
    named = dict(zip(order, (Role(role) for role in roles), strict=False))
    return tuple(
        Speaker(s, named[s], source, 1.0) if named.get(s, Role.UNKNOWN) is not Role.UNKNOWN else _undecided(s)
        for s in speakers
    )


def _undecided(speaker: SpeakerId) -> Speaker:
    return Speaker(speaker, Role.UNKNOWN, RoleSource.UNDECIDED, None)


def _by_behaviour(conversation: Conversation) -> tuple[Speaker, ...]:
    scores = coach_likeness(conversation)
    ranked = sorted(scores.values(), reverse=True)
    if len(ranked) < 2 or ranked[0] - ranked[1] < CLEAR_LEAD:
        return tuple(_undecided(speaker) for speaker in conversation.speakers)
    coach = max(scores, key=scores.__getitem__)
    evidence = min(1.0, len(_asked(conversation)) / FULL_EVIDENCE)
    confidence = round(0.5 + (MOST_CONFIDENCE - 0.5) * (ranked[0] - ranked[1]) * evidence, 2)
    return tuple(
        Speaker(s, Role.COACH if s == coach else Role.CLIENT, RoleSource.BEHAVIOUR, confidence)
        for s in conversation.speakers
    )


def _asked(conversation: Conversation) -> list[Sentence]:
    return [s for s in conversation.said_by(conversation.speakers) if s.question]


def coach_likeness(conversation: Conversation) -> dict[SpeakerId, float]:
    """Shares that sum to 1 over the speakers; empty when too little was asked to tell."""
    speakers = conversation.speakers
    asked = _asked(conversation)
    if len(speakers) < 2 or len(asked) < LEAST_QUESTIONS:
        return {}
    openly = [s for s in asked if s.question is QuestionKind.OPEN] or asked
    total_ms = sum(conversation.talk_ms.values())
    frame = (conversation.floor.turns[0].speaker, conversation.floor.turns[-1].speaker)
    return {
        s: ASKS_WEIGHT * sum(q.speaker == s for q in asked) / len(asked)
        + ASKS_OPENLY_WEIGHT * sum(q.speaker == s for q in openly) / len(openly)
        + LISTENS_WEIGHT * (1 - conversation.talk_ms[s] / total_ms) / (len(speakers) - 1)
        + FRAMES_WEIGHT * frame.count(s) / 2
        for s in speakers
    }
