"""Feeling in words: each sentence is pleasant, unpleasant or neither, by the lists of its language.

A question names a feeling without having it, and a reflection names the other's: both count as neutral for the speaker.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.insight.conversation import Conversation, Sentence
from pipelines.insight.intervals import to_ms
from pipelines.insight.language.feelings import Tone, lexicon_for
from shared.domain.ids import SpeakerId
from shared.domain.insight import EmotionShares

_NEUTRAL = Tone(0, 0)


@dataclass(frozen=True, slots=True)
class Felt:
    """One sentence with what its words say."""

    sentence: Sentence
    duration_ms: int
    tone: Tone


def felt_sentences(conversation: Conversation) -> dict[SpeakerId, list[Felt]] | None:
    """Of each speaker, by start; None for a language without lists."""
    lexicon = lexicon_for(conversation.language)
    if lexicon is None:
        return None
    found: dict[SpeakerId, list[Felt]] = {speaker: [] for speaker in conversation.speakers}
    for sentence in conversation.sentences:
        if sentence.speaker in found:
            own = not (sentence.question or sentence.reflection)
            felt = Felt(sentence, _duration_ms(sentence), lexicon.tone(sentence.text) if own else _NEUTRAL)
            found[sentence.speaker].append(felt)
    return found


def _duration_ms(sentence: Sentence) -> int:
    return max(1, sum(to_ms(segment.end_s) - to_ms(segment.start_s) for segment in sentence.segments))


def shares_of(felt: Sequence[Felt]) -> EmotionShares | None:
    """Percent of the sentences' time, to a tenth; the three sum to 100."""
    total_ms = sum(one.duration_ms for one in felt)
    if not total_ms:
        return None
    positive = round(100 * sum(f.duration_ms for f in felt if f.tone.polarity > 0) / total_ms, 1)
    negative_ms = sum(f.duration_ms for f in felt if f.tone.polarity < 0)
    negative = round(min(100 * negative_ms / total_ms, 100 - positive), 1)
    return EmotionShares(positive, round(100 - positive - negative, 1), negative)


def valence_of(felt: Sequence[Felt]) -> float | None:
    """Mean polarity of the sentences in which feeling was found, each by its time; None where there was none."""
    telling = [one for one in felt if one.tone.found]
    total_ms = sum(one.duration_ms for one in telling)
    return round(sum(f.tone.polarity * f.duration_ms for f in telling) / total_ms, 3) if total_ms else None
