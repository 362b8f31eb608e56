"""Moments in which a speaker's feeling turns: words from unpleasant to pleasant or back, the voice up or down.

The two windows are next to each other in this speaker's own talk, at most two minutes apart. Few are told, the
largest changes first; in the document they stand in the order of time.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from pipelines.insight.emotion.words import Felt
from pipelines.insight.intervals import to_ms
from pipelines.insight.quotes import quote_of
from shared.domain.ids import SpeakerId
from shared.domain.insight import EmotionPoint, EmotionTurn

BRIGHTENS, DARKENS, STIRS, CALMS = "brightens", "darkens", "stirs", "calms"
LEAST_VALENCE_CHANGE = 0.8  # of 2: over zero and well beyond
LEAST_AROUSAL_CHANGE = 0.9  # of 2: about two standard deviations of the speaker's own
LONGEST_APART_S = 120.0
MOST_TURNS = 10  # a page of moments is not read


def turning_points(points: Sequence[EmotionPoint], felt: Mapping[SpeakerId, Sequence[Felt]]) -> tuple[EmotionTurn, ...]:
    speakers = dict.fromkeys(point.speaker for point in points)
    found = [turn for s in speakers for turn in _of_speaker([p for p in points if p.speaker == s], felt.get(s, ()))]
    largest = sorted(found, key=lambda turn: -abs(turn.after - turn.before))[:MOST_TURNS]
    return tuple(sorted(largest, key=lambda turn: (turn.time, turn.speaker, turn.kind)))


def _of_speaker(points: Sequence[EmotionPoint], felt: Sequence[Felt]) -> Iterator[EmotionTurn]:
    for before, after in pairwise([p for p in points if p.valence is not None]):
        if _near(before, after) and _turned(before.valence, after.valence):
            yield _turn(after, before.valence or 0.0, after.valence or 0.0, (BRIGHTENS, DARKENS), felt, words=True)
    for before, after in pairwise([p for p in points if p.arousal is not None]):
        change = (after.arousal or 0.0) - (before.arousal or 0.0)
        if _near(before, after) and abs(change) >= LEAST_AROUSAL_CHANGE:
            yield _turn(after, before.arousal or 0.0, after.arousal or 0.0, (STIRS, CALMS), felt, words=False)


def _near(before: EmotionPoint, after: EmotionPoint) -> bool:
    return after.start_s - before.end_s <= LONGEST_APART_S


def _turned(before: float | None, after: float | None) -> bool:
    """From one side of zero to the other."""
    return (
        before is not None and after is not None and before * after < 0 and abs(after - before) >= LEAST_VALENCE_CHANGE
    )


def _turn(
    at: EmotionPoint, before: float, after: float, kinds: tuple[str, str], felt: Sequence[Felt], *, words: bool
) -> EmotionTurn:
    """With the sentence that shows it: of words the first that tells, of the voice the first in the window."""
    inside = [f for f in felt if to_ms(at.start_s) <= f.sentence.start_ms < to_ms(at.end_s)]
    telling = [f for f in inside if f.tone.polarity * after > 0] if words else inside
    segment = telling[0].sentence.segment if telling else None
    return EmotionTurn(
        time=segment.start_s if segment else at.start_s,
        speaker=at.speaker,
        kind=kinds[0] if after > before else kinds[1],
        before=before,
        after=after,
        segment_id=segment.id if segment else None,
        quote=quote_of(segment) if segment else None,
    )
