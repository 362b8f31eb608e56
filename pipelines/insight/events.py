"""Moments worth listening to again: interruptions, other overlaps, silences and monologues, in time order."""

from collections.abc import Iterator, Mapping

from pipelines.insight.catalogue import Catalogue
from pipelines.insight.conversation import Conversation
from pipelines.insight.floor import OVERLAP_GRACE_MS
from pipelines.insight.intervals import Bounds, to_s
from shared.domain.ids import SpeakerId
from shared.domain.insight import ConversationEvent, EventType, ReflectiveSilence

MONOLOGUE_MS = 60_000  # a minute without giving up the floor: beyond what a listener keeps in mind at once

Names = Mapping[SpeakerId | None, str]


def conversation_events(
    conversation: Conversation, silences: tuple[ReflectiveSilence, ...], names: Names, texts: Catalogue
) -> tuple[ConversationEvent, ...]:
    found = [
        *_interruptions(conversation, names, texts),
        *_overlaps(conversation, names, texts),
        *silence_events(silences, names, texts),
        *_monologues(conversation, names, texts),
    ]
    return tuple(sorted(found, key=lambda event: (event.time, event.type)))


def _interruptions(conversation: Conversation, names: Names, texts: Catalogue) -> Iterator[ConversationEvent]:
    for item in conversation.floor.interruptions:
        key = "event.interruption.success" if item.success else "event.interruption.attempt"
        description = texts.text(key, by=names[item.by], of=names[item.of])
        yield _event(EventType.INTERRUPTION, item.by, (item.start_ms, item.start_ms + item.overlap_ms), description)


def _overlaps(conversation: Conversation, names: Names, texts: Catalogue) -> Iterator[ConversationEvent]:
    """Overlaps beyond a quick reply that are not told as an interruption or a backchannel already."""
    told = {item.start_ms for item in conversation.floor.interruptions}
    told |= {unit.start_ms for unit in conversation.floor.backchannels}
    for start, end in conversation.overlapped:
        if end - start > OVERLAP_GRACE_MS and start not in told:
            speaker = _who_came_in(conversation, start)
            yield _event(EventType.OVERLAP, speaker, (start, end), texts.text("event.overlap", by=names[speaker]))


def _who_came_in(conversation: Conversation, at_ms: int) -> SpeakerId | None:
    return next((s for s, own in conversation.by_speaker.items() if any(b[0] == at_ms for b in own)), None)


def silence_events(
    silences: tuple[ReflectiveSilence, ...], names: Names, texts: Catalogue
) -> Iterator[ConversationEvent]:
    """Also the only events that are known where speakers are not."""
    for silence in silences:
        description = texts.text("event.silence", after=names[silence.after], by=names[silence.broken_by])
        yield ConversationEvent(EventType.SILENCE, silence.broken_by, silence.start_s, silence.duration_s, description)


def _monologues(conversation: Conversation, names: Names, texts: Catalogue) -> Iterator[ConversationEvent]:
    for turn in conversation.floor.turns:
        if turn.duration_ms >= MONOLOGUE_MS:
            description = texts.text("event.monologue", by=names[turn.speaker])
            yield _event(EventType.MONOLOGUE, turn.speaker, turn.bounds, description)


def _event(kind: EventType, speaker: SpeakerId | None, bounds: Bounds, description: str) -> ConversationEvent:
    return ConversationEvent(kind, speaker, to_s(bounds[0]), to_s(bounds[1] - bounds[0]), description)
