"""What kind of conversation this was: the first row of a small decision table that fits.

| key         | fits when                                                                        |
| directive   | the coach has the larger part of the talk (client_share below 0.4)               |
| hurried     | the coach interrupts 3 times or more in 10 min of client's speech (score ≤ 0.5)  |
| questioner  | a question in every turn of the coach, fewer than 1 reflection on 5 questions    |
| quiet       | the client has 0.85 of the talk or more, fewer than 1 question in 5 coach's turns |
| facilitator | listening and questioning both 3.5 or more                                       |
| balanced    | none of these                                                                    |
"""

from collections.abc import Callable

from pipelines.insight.catalogue import Catalogue
from pipelines.insight.coaching import Assessment
from shared.domain.insight import Diagnosis

Figures = dict[str, float]

ICONS = {"directive": "🧭", "hurried": "⚡", "questioner": "🎤", "quiet": "👂", "facilitator": "🌱", "balanced": "⚖️"}

_TABLE: tuple[tuple[str, Callable[[Figures], bool]], ...] = (
    ("directive", lambda f: f["client_share"] < 0.4),
    ("hurried", lambda f: f["calm"] <= 0.5),
    ("questioner", lambda f: f["question_rate"] >= 1 and f["reflections"] < 0.2),
    ("quiet", lambda f: f["client_share"] >= 0.85 and f["question_rate"] < 0.2),
    ("facilitator", lambda f: f["listening"] >= 3.5 and f["questioning"] >= 3.5),
    ("balanced", lambda f: True),
)


def diagnose(assessment: Assessment, texts: Catalogue) -> Diagnosis | None:
    """None unless every skill was measured."""
    if assessment.missing:
        return None
    figures = _figures(assessment)
    key = next(key for key, fits in _TABLE if fits(figures))
    return Diagnosis(key, texts.text(f"diagnosis.{key}.name"), ICONS[key], texts.text(f"diagnosis.{key}.description"))


def _figures(assessment: Assessment) -> Figures:
    figures = {i.key: i.value for found in assessment.indicators.values() for i in found}
    scores = {i.key: i.score for found in assessment.indicators.values() for i in found}
    skills = assessment.skills
    return figures | {
        "calm": scores["coach_interruptions"],
        "listening": skills.listening.score or 0.0,
        "questioning": skills.questioning.score or 0.0,
    }
