"""Coaching skills from stated formulas: 1 + 4 × the mean of the skill's indicators (see `indicators.py`).

The scores describe what can be counted in time and words. They say nothing of tone or of what was left unsaid, so
confidence is low, lowest where words alone decide, and grows with the length of the conversation. A skill that
cannot be measured has no score: never a middle one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.insight import indicators
from pipelines.insight.catalogue import Catalogue
from pipelines.insight.conversation import Conversation, Sentence
from pipelines.insight.indicators import Indicator, Pair
from pipelines.insight.language.rules import QuestionKind
from pipelines.insight.quotes import check_quotes, example_of
from pipelines.insight.roles import speakers_with
from shared.domain.insight import CoachingSkills, Example, Role, Skill, Speaker

RULES_VERSION = "3"  # raise it with any change of a rule, a range or a lexicon: it is part of the cache key
LEAST_TURNS = 3  # of each: fewer show no habit
LEAST_SPEECH_MS = 45_000  # about the shortest exchange that holds three turns of each
FULL_EVIDENCE_MS = 20 * 60_000  # from here on length adds no confidence
# Confidence with full evidence: time is measured, words are matched, feelings are guessed at.
CONFIDENCE = {"listening": 0.4, "questioning": 0.35, "empathy": 0.2, "feedback": 0.2}
MOST_EXAMPLES = 3

NO_ROLES, TOO_LITTLE, NO_RULES = "roles_unknown", "too_little_speech", "language_without_rules"


@dataclass(frozen=True, slots=True)
class Assessment:
    """Skills with the indicators behind them, or the reason why there are none."""

    skills: CoachingSkills
    indicators: dict[str, tuple[Indicator, ...]]  # by skill
    missing: dict[str, str]  # skill -> reason code
    dropped_quotes: int


@dataclass(frozen=True, slots=True)
class _Scored:
    skill: Skill
    indicators: tuple[Indicator, ...] = ()
    missing: str | None = None
    dropped: int = 0


def pair_of(conversation: Conversation, speakers: Sequence[Speaker]) -> Pair:
    return Pair(conversation, speakers_with(Role.COACH, speakers), speakers_with(Role.CLIENT, speakers))


def assess(pair: Pair, texts: Catalogue) -> Assessment:
    scored = {name: _score(name, measure, pair, texts) for name, measure in _MEASURES.items()}
    return Assessment(
        skills=CoachingSkills(**{name: one.skill for name, one in scored.items()}),
        indicators={name: one.indicators for name, one in scored.items()},
        missing={name: one.missing for name, one in scored.items() if one.missing},
        dropped_quotes=sum(one.dropped for one in scored.values()),
    )


_MEASURES: dict[str, Callable[[Pair], list[Indicator]]] = {
    "listening": indicators.listening,
    "questioning": indicators.questioning,
    "empathy": indicators.empathy,
    "feedback": indicators.feedback,
}


def _score(name: str, measure: Callable[[Pair], list[Indicator]], pair: Pair, texts: Catalogue) -> _Scored:
    missing = _why_not(name, pair)
    if missing:
        return _Scored(Skill(None, None, texts.text(f"reason.{missing}"), ()), missing=missing)
    found = tuple(measure(pair))
    score = 1 + 4 * sum(indicator.score for indicator in found) / len(found)
    examples = check_quotes(_examples(name, pair, found), pair.conversation.segments)
    skill = Skill(round(score, 1), _confidence(name, pair), _rationale(found, texts), examples.kept)
    return _Scored(skill, found, dropped=examples.dropped)


def _why_not(name: str, pair: Pair) -> str | None:
    if not pair.coach or not pair.client:
        return NO_ROLES
    turns = min(len(pair.turns(pair.coach)), len(pair.turns(pair.client)))
    if turns < LEAST_TURNS or _speech_ms(pair) < LEAST_SPEECH_MS:
        return TOO_LITTLE
    return NO_RULES if name != "listening" and pair.conversation.rules is None else None


def _speech_ms(pair: Pair) -> int:
    return pair.talk_ms(pair.coach) + pair.talk_ms(pair.client)


def _confidence(name: str, pair: Pair) -> float:
    """Half of the full confidence for the shortest conversation, all of it from 20 minutes of speech on."""
    evidence = min(1.0, _speech_ms(pair) / FULL_EVIDENCE_MS)
    return round(CONFIDENCE[name] * (0.5 + 0.5 * evidence), 2)


def _rationale(found: Sequence[Indicator], texts: Catalogue) -> str:
    return texts.text("rationale.join").join(describe(indicator, texts) for indicator in found)


def describe(indicator: Indicator, texts: Catalogue) -> str:
    """The figure in words: "the client had 62 % of the talk"."""
    value = indicator.value
    return texts.text(
        f"indicator.{indicator.key}",
        percent=texts.percent(value),
        seconds=texts.seconds(value),
        number=f"{value:.1f}",
        count=round(value),
        duration=texts.duration(indicator.out_of_s),
    )


def _examples(name: str, pair: Pair, found: Sequence[Indicator]) -> list[Example]:
    if name == "listening":
        return _moments(pair, [i for i in found if i.key == "coach_interruptions"])
    if name == "questioning":
        asked = pair.coach_questions()
        return _first([s for s in asked if s.question is QuestionKind.OPEN] or asked)
    said = pair.coach_sentences()
    return _first([s for s in said if (s.reflection or s.feeling if name == "empathy" else s.affirmation)])


def _first(sentences: Sequence[Sentence]) -> list[Example]:
    return [example_of(sentence.segment) for sentence in sentences[:MOST_EXAMPLES]]


def _moments(pair: Pair, found: Sequence[Indicator]) -> list[Example]:
    at = [(i.at_ms, i.speaker) for i in found if i.at_ms is not None]
    segments = [pair.conversation.segment_at(at_ms, speaker) for at_ms, speaker in at]
    return [example_of(segment) for segment in segments if segment]
