"""What the model found, over what the rules made: part by part, with basis, warnings and provenance."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipelines.insight.catalogue import catalogue
from pipelines.insight.model.judging import SKILLS, Judged
from pipelines.text.labels import clock
from shared.domain.errors import VibeInsightError
from shared.domain.insight import (
    ActionItem,
    Analysis,
    Basis,
    CoachingCodes,
    CoachingSkills,
    NotMeasured,
    Report,
)
from shared.domain.job import JobWarning, Stage
from shared.domain.transcript import Provenance

CODES = "report.codes"
NOT_CODED = "not_coded"


@dataclass(frozen=True, slots=True)
class Findings:
    """All that one session with a model came to; everything in it holds against the transcript."""

    provenance: Provenance
    prompt_version: str
    usage: Mapping[str, Any]
    model_versions: tuple[str, ...] = ()
    codes: CoachingCodes | None = None
    actions: tuple[ActionItem, ...] = ()
    judged: Judged | None = None
    dropped: Mapping[str, int] | None = None
    withheld: int = 0
    failure: VibeInsightError | None = None  # of the judgement, or of everything
    coding_failure: VibeInsightError | None = None  # of some stretch


def not_asked(analysis: Analysis, reason: str) -> Analysis:
    """No model had a part in it: what only a model gives is null, with its reason."""
    return replace(analysis, not_measured=(*analysis.not_measured, _missing(CODES, reason, analysis)))


def stands_on_rules(analysis: Analysis, findings: Findings) -> Analysis:
    """Nothing came of asking: the rules' report, and what went wrong."""
    return replace(
        analysis,
        not_measured=(*analysis.not_measured, _missing(CODES, NOT_CODED, analysis)),
        warnings=(*analysis.warnings, *_warnings(findings)),
        report=replace(analysis.report, basis=dict.fromkeys(_PARTS, Basis.RULES)),
        provenance=_tried(analysis.provenance, findings),
    )


def merged(analysis: Analysis, findings: Findings) -> Analysis:
    report = _report(analysis.report, findings)
    by_model = Basis.MODEL in report.basis.values()
    missing = () if findings.codes else (_missing(CODES, NOT_CODED, analysis),)
    kept = tuple(one for one in analysis.not_measured if not _now_given(one.path, report))
    return replace(
        analysis,
        report=report,
        not_measured=(*kept, *missing),
        warnings=(*analysis.warnings, *_warnings(findings)),
        provenance=(_made_by if by_model else _tried)(analysis.provenance, findings),
    )


_PARTS = (
    *(f"coaching_skills.{name}" for name in SKILLS),
    *("diagnosis", "prescriptions", "summary", "action_items", "codes"),
)


def _report(report: Report, findings: Findings) -> Report:
    judged, codes = findings.judged or Judged({}, None, (), ""), findings.codes
    complete = codes is not None and not codes.uncoded  # a promise may lie in a stretch that nobody coded
    given = {
        **{f"coaching_skills.{name}": name in judged.skills for name in SKILLS},
        "diagnosis": judged.diagnosis is not None,
        "prescriptions": bool(judged.prescriptions),
        "summary": bool(judged.summary),
        "action_items": complete and bool(findings.actions or not report.action_items),
        "codes": codes is not None,
    }
    return replace(
        report,
        coaching_skills=_skills(report.coaching_skills, judged),
        diagnosis=judged.diagnosis or report.diagnosis,
        prescriptions=judged.prescriptions or report.prescriptions,
        summary=judged.summary or report.summary,
        action_items=findings.actions if given["action_items"] else report.action_items,
        codes=codes,
        basis={part: Basis.MODEL if given[part] else Basis.RULES for part in _PARTS},
    )


def _skills(by_rules: CoachingSkills, judged: Judged) -> CoachingSkills:
    return CoachingSkills(**{name: judged.skills.get(name) or getattr(by_rules, name) for name in SKILLS})


def _now_given(path: str, report: Report) -> bool:
    """What the rules could not score and the model could: "report.coaching_skills.empathy.score"."""
    part = path.removeprefix("report.").removesuffix(".score")
    return path.startswith("report.") and report.basis.get(part) is Basis.MODEL


def _missing(path: str, code: str, analysis: Analysis) -> NotMeasured:
    return NotMeasured(path, code, catalogue(analysis.report_language).text(f"reason.{code}"))


def _warnings(findings: Findings) -> list[JobWarning]:
    found = [_of_failure(findings.failure)] if findings.failure else []
    if findings.coding_failure:
        found.append(_of_coding(findings.coding_failure, findings.codes))
    if findings.dropped:
        found.append(_of_dropped(findings.dropped))
    if findings.withheld:
        message = f"{findings.withheld} segments speak to a machine that reads the transcript; no model was shown them"
        found.append(JobWarning("instructions_withheld", message, Stage.ANALYZE))
    return found


def _of_failure(failure: VibeInsightError) -> JobWarning:
    return JobWarning(failure.code, f"{failure.message}; the coaching part stands on rules instead", Stage.ANALYZE)


def _of_coding(failure: VibeInsightError, codes: CoachingCodes | None) -> JobWarning:
    uncoded = codes.uncoded if codes else ()
    where = ", ".join(f"{clock(part.start_s)} to {clock(part.end_s)}" for part in uncoded) or "the whole conversation"
    message = f"The language model's coding is missing for {where}: {failure.message}"
    return JobWarning("coding_incomplete", message, Stage.ANALYZE)


def _of_dropped(dropped: Mapping[str, int]) -> JobWarning:
    counted = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
    message = f"{sum(dropped.values())} statements of the language model did not hold and were left out: {counted}"
    return JobWarning("claims_dropped", message, Stage.ANALYZE)


def _made_by(rules: Provenance, findings: Findings) -> Provenance:
    """The model's, with the rules that measured beside it."""
    own = findings.provenance
    return Provenance(
        provider=own.provider,
        model=own.model,
        version=", ".join(findings.model_versions) or own.version,
        parameters={
            **own.parameters,
            "sdk_version": own.version,
            "rules": {"version": rules.version, **rules.parameters},
            "usage": dict(findings.usage),
            "dropped": dict(findings.dropped or {}),
        },
        prompt_version=findings.prompt_version,
    )


def _tried(rules: Provenance, findings: Findings) -> Provenance:
    tried = {
        "provider": findings.provenance.provider,
        "model": findings.provenance.model,
        "prompt_version": findings.prompt_version,
        "failure": findings.failure.code if findings.failure else "no_evidence",
        "usage": dict(findings.usage),
    }
    return replace(rules, parameters={**rules.parameters, "model_tried": tried})
