"""The report's page says what a language model suggested, and what it did not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.insight.catalogue import REPORT_LANGUAGES, catalogue
from pipelines.insight.report import render_report
from pipelines.insight.report_view import ReportView
from pipelines.stages.synthesize import synthesize
from shared.domain.insight import Basis, CoachingCodes, CoachMove, MarkerEvidence, Phase, PhaseSpan, Report
from shared.domain.wire import result_from_dict, result_to_dict
from tests.insight_samples import COACHING, NOW, known_of

pytestmark = pytest.mark.unit

KINDS = ("open_question", "closed_question", "simple_reflection", "complex_reflection", "affirmation")
CODES = CoachingCodes(
    moves=tuple(CoachMove(kind, "seg-0001", "<b>Hello</b>", 0.0) for kind in KINDS),
    phases=tuple(PhaseSpan(phase, "seg-0001", "seg-0002", 0.0, 15.0) for phase in Phase),
    markers=(MarkerEvidence("6.7", "sums up", "seg-0004", "It sounds like", 20.5),),
    uncoded=(),
)
SKILLS = ("listening", "questioning", "empathy", "feedback")


def _document(language: str = "en", **changes: Any) -> dict[str, Any]:
    known = known_of(COACHING, report_language=language, roles=("coach", "client"))
    report: Report = replace(known.analysis.report, **changes)
    known = replace(known, analysis=replace(known.analysis, report=report))
    return result_to_dict(synthesize(known, synthesizer=None, workdir=Path(), now=NOW).document)


@pytest.mark.parametrize("language", REPORT_LANGUAGES)
@pytest.mark.parametrize("format", ["html", "md"])
def test_suggestions_are_shown_as_such(language: str, format: str) -> None:
    """Phases, moves and markers with their note, in each language; what was said stays data."""
    page = render_report(_document(language, codes=CODES), format)[0].decode()
    texts = catalogue(language)
    for key in ("report.codes", *(f"move.{kind}" for kind in KINDS), *(f"phase.{phase}" for phase in Phase)):
        assert texts.text(key) in page
    assert "6.7" in page.replace("\\", "")
    assert "<b>Hello" not in page


def test_without_a_model_nothing_is_suggested() -> None:
    """No empty section."""
    assert catalogue("en").text("report.codes") not in render_report(_document(), "html")[0].decode()


@pytest.mark.parametrize(
    ("by_model", "key"), [((), "skills_note"), (SKILLS, "skills_note_model"), (SKILLS[:1], "skills_note_mixed")]
)
def test_note_says_who_scored(by_model: tuple[str, ...], key: str) -> None:
    """Formulas, a model, or both."""
    basis = {f"coaching_skills.{name}": Basis.MODEL if name in by_model else Basis.RULES for name in SKILLS}
    view = ReportView(result_from_dict(_document(basis=basis)))
    assert view.skills_note() == catalogue("en").text(f"report.{key}")
