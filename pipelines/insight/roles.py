"""Who is the coach. The first of these that tells, in this order:

1. what somebody said of this very speaker, in a correction;
2. an enrolled voice: the speaker sounds like somebody whose role is known;
3. the roles that the caller named with the recording, in order of channel, else of first speech;
4. how each talks.

A voice stands above the caller's list because a list is an order: whoever says "hello" first turns it round. Where the
two differ, the reader is told.

By behaviour: a coach asks more, asks more openly, gives back what was said and encourages, talks less, and opens and
closes the session. Each of these signs gives every speaker a share, and the shares add up with the weights below. The
top speaker is the coach when clearly ahead; otherwise nobody is, and everything that needs a role stays unmeasured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from pipelines.insight.conversation import Conversation, Sentence
from pipelines.insight.language.rules import QuestionKind
from shared.domain.ids import SpeakerId
from shared.domain.insight import Role, RoleSource, Speaker
from shared.domain.speakers import NOTHING_SAID, SpeakerChange, VoiceMatch

ASKS_WEIGHT = 0.4  # the strongest sign: in coaching nearly all questions are the coach's
ASKS_OPENLY_WEIGHT = 0.15
REFLECTS_WEIGHT = 0.1  # reflections and affirmations; counted with the questions where there are none
LISTENS_WEIGHT = 0.25
FRAMES_WEIGHT = 0.1  # whoever opens and whoever closes: weak, the client may well speak first
LEAST_SIGNS = 3  # questions and reflections; fewer say nothing about who leads
CLEAR_LEAD = 0.2  # of the summed shares: 0.6 against 0.4 between two speakers
MOST_CONFIDENCE = 0.9  # behaviour alone never proves a role
FULL_EVIDENCE = 12  # signs: what an ordinary session of a quarter of an hour has
OTHERS_CONFIDENCE = 0.9  # of two people, one being the enrolled coach: the other is hardly ever not the client


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of the speakers beside how they talk."""

    roles: Sequence[str] = ()  # in order of channel, else of first speech
    channels: Mapping[int, SpeakerId] = field(default_factory=dict)
    said: SpeakerChange = NOTHING_SAID
    matches: Mapping[SpeakerId, VoiceMatch] = field(default_factory=dict)


def assign_roles(
    conversation: Conversation,
    roles: Sequence[str],
    channel_speakers: Mapping[int, SpeakerId],
    *,
    said: SpeakerChange = NOTHING_SAID,
    matches: Mapping[SpeakerId, VoiceMatch] = MappingProxyType({}),
) -> tuple[Speaker, ...]:
    """All speakers in order of first speech, each with a role, where it comes from and how sure it is."""
    return roles_from(conversation, Hints(roles, channel_speakers, said, matches))


def roles_from(conversation: Conversation, hints: Hints) -> tuple[Speaker, ...]:
    speakers = _from_voices(conversation, hints.matches) or _listed(conversation, hints) or _by_behaviour(conversation)
    return tuple(_as_said(_with_voice(speaker, hints.matches), hints.said) for speaker in speakers)


def contradicted(conversation: Conversation, hints: Hints) -> bool:
    """Whether the caller's list gives a role to somebody whose voice says another."""
    listed = {s.id: s.role for s in _listed(conversation, hints)}
    by_voice = {s.id: s.role for s in _from_voices(conversation, hints.matches)}
    known = (Role.COACH, Role.CLIENT)
    return any(by_voice.get(s) in known and role in known and role is not by_voice[s] for s, role in listed.items())


def speakers_with(role: Role, speakers: Sequence[Speaker]) -> list[SpeakerId]:
    return [speaker.id for speaker in speakers if speaker.role is role]


def _as_said(speaker: Speaker, said: SpeakerChange) -> Speaker:
    named = replace(speaker, name=said.names[speaker.id]) if speaker.id in said.names else speaker
    role = said.roles.get(speaker.id)
    if role is None:
        return named
    return replace(named, role=role, role_source=RoleSource.GIVEN, role_confidence=1.0)


def _with_voice(speaker: Speaker, matches: Mapping[SpeakerId, VoiceMatch]) -> Speaker:
    match = matches.get(speaker.id)
    if match is None:
        return speaker
    return replace(speaker, name=match.label or None, voice_id=match.voice, voice_confidence=match.confidence)


def _from_voices(conversation: Conversation, matches: Mapping[SpeakerId, VoiceMatch]) -> tuple[Speaker, ...]:
    """Empty unless a known voice tells the coach: a known client alone leaves open who of the others coaches."""
    known = {s: m for s, m in matches.items() if m.role is not Role.UNKNOWN and s in conversation.speakers}
    roles = {match.role for match in known.values()}
    if Role.COACH not in roles and not (known and len(conversation.speakers) == 2):
        return ()
    other = Role.CLIENT if Role.COACH in roles else Role.COACH
    least = min((match.confidence for match in known.values()), default=0.0)
    return tuple(
        Speaker(s, known[s].role, RoleSource.ENROLLED_VOICE, known[s].confidence)
        if s in known
        else Speaker(s, other, RoleSource.ENROLLED_VOICE, round(OTHERS_CONFIDENCE * least, 2))
        for s in conversation.speakers
    )


def _listed(conversation: Conversation, hints: Hints) -> tuple[Speaker, ...]:
    if not hints.roles:
        return ()
    by_channel = [hints.channels[channel] for channel in sorted(hints.channels)]
    source = RoleSource.CHANNEL if by_channel else RoleSource.OPTIONS
    order = by_channel or conversation.speakers
    named = dict(zip(order, (Role(role) for role in hints.roles), strict=False))
    return tuple(
        Speaker(s, named[s], source, 1.0) if named.get(s, Role.UNKNOWN) is not Role.UNKNOWN else _undecided(s)
        for s in conversation.speakers
    )


def _undecided(speaker: SpeakerId) -> Speaker:
    return Speaker(speaker, Role.UNKNOWN, RoleSource.UNDECIDED, None)


# ---- by behaviour


def _by_behaviour(conversation: Conversation) -> tuple[Speaker, ...]:
    scores = coach_likeness(conversation)
    ranked = sorted(scores.values(), reverse=True)
    if len(ranked) < 2 or ranked[0] - ranked[1] < CLEAR_LEAD:
        return tuple(_undecided(speaker) for speaker in conversation.speakers)
    coach = max(scores, key=scores.__getitem__)
    evidence = min(1.0, (len(_asked(conversation)) + len(_given_back(conversation))) / FULL_EVIDENCE)
    confidence = round(0.5 + (MOST_CONFIDENCE - 0.5) * (ranked[0] - ranked[1]) * evidence, 2)
    return tuple(
        Speaker(s, Role.COACH if s == coach else Role.CLIENT, RoleSource.BEHAVIOUR, confidence)
        for s in conversation.speakers
    )


def _asked(conversation: Conversation) -> list[Sentence]:
    return [s for s in conversation.said_by(conversation.speakers) if s.question]


def _given_back(conversation: Conversation) -> list[Sentence]:
    said = conversation.said_by(conversation.speakers)
    return [s for s in said if not s.question and (s.reflection or s.affirmation)]


def coach_likeness(conversation: Conversation) -> dict[SpeakerId, float]:
    """Shares that sum to 1 over the speakers; empty when too little was asked and given back to tell."""
    speakers = conversation.speakers
    asked, given_back = _asked(conversation), _given_back(conversation)
    if len(speakers) < 2 or not asked or len(asked) + len(given_back) < LEAST_SIGNS:
        return {}
    openly = [s for s in asked if s.question is QuestionKind.OPEN] or asked
    total_ms = sum(conversation.talk_ms.values())
    frame = (conversation.floor.turns[0].speaker, conversation.floor.turns[-1].speaker)
    return {
        s: ASKS_WEIGHT * _share(s, asked)
        + ASKS_OPENLY_WEIGHT * _share(s, openly)
        + REFLECTS_WEIGHT * _share(s, given_back or asked)
        + LISTENS_WEIGHT * (1 - conversation.talk_ms[s] / total_ms) / (len(speakers) - 1)
        + FRAMES_WEIGHT * frame.count(s) / 2
        for s in speakers
    }


def _share(speaker: SpeakerId, sentences: Sequence[Sentence]) -> float:
    return sum(sentence.speaker == speaker for sentence in sentences) / len(sentences)
