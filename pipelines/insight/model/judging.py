"""The reduce: one judgement of the whole, from the transcript where it fits, else from what the stretches yielded.

A score stands on at least one quotation of the coach that holds; without one it is not taken over.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.insight.coaching import FULL_EVIDENCE_MS, MOST_EXAMPLES
from pipelines.insight.diagnosis import ICONS
from pipelines.insight.model.budget import expected_use
from pipelines.insight.model.claims import Said, supported
from pipelines.insight.model.coding import Coded
from pipelines.insight.model.evidence import NO_EVIDENCE, Checker
from pipelines.insight.model.lines import Line, Lines
from pipelines.insight.model.prompts import Prompts
from pipelines.insight.model.wire import Judgement, PrescriptionAnswer, SkillAnswer, schema_of
from pipelines.insight.prescriptions import MOST_PRESCRIPTIONS
from shared.domain.insight import Analysis, Diagnosis, Metrics, Prescription, Role, Skill
from shared.domain.tokens import estimate_tokens
from shared.ports.language import Question, Usage

WHOLE_TOKENS = 12_000  # up to about half an hour the judge reads every word; of more, the lines that were cited
ANSWER_TOKENS = 3_500  # some 1,500 are usual; Japanese and Chinese take up to twice as many
LONGEST_SUMMARY, LONGEST_TEXT, LONGEST_TITLE = 1_200, 600, 80  # characters

# How far a model's score can be believed at best. Machine coding of questions agrees with people (kappa above 0.6),
# of empathy and reflection much less; nobody has shown more for whole scores.
CONFIDENCE = {"listening": 0.5, "questioning": 0.6, "empathy": 0.4, "feedback": 0.5}
SKILLS = tuple(CONFIDENCE)


@dataclass(frozen=True, slots=True)
class Room:
    """Tokens that a judge has for the transcript, and for thinking beside the answer."""

    transcript: int = WHOLE_TOKENS
    thinking: int = 0


def question_of(lines: Lines, coded: Sequence[Coded], metrics: Metrics, prompts: Prompts, room: Room) -> Question:
    shown = lines.lines if lines.tokens <= room.transcript else digest(lines, coded, room.transcript)
    notes = [f"[{line.number}] {text}" for one in coded for line, text in one.notes]
    parts = [f"Measured:\n{_measured(metrics)}", lines.fenced(shown)]
    if len(shown) < len(lines.lines):
        parts.insert(1, f"<{lines.fence}-notes>\n" + "\n".join(notes) + f"\n</{lines.fence}-notes>")
    return Question(
        name="judgement",
        system=prompts.judge(lines.fence),
        user="\n\n".join(parts),
        schema=schema_of(Judgement),
        max_output_tokens=ANSWER_TOKENS + room.thinking,
    )


def planned_use(lines: Lines, metrics: Metrics, prompts: Prompts, room: Room) -> Usage:
    """Before the stretches are coded: what a long conversation's digest will hold is not known, its length is."""
    known = expected_use(question_of(lines, (), metrics, prompts, room))
    return known if lines.tokens <= room.transcript else known + Usage(room.transcript, 0)


def digest(lines: Lines, coded: Sequence[Coded], most_tokens: int) -> tuple[Line, ...]:
    """Lines that something was found in, each with the one before, evenly from all stretches, as many as fit."""
    wanted = [sorted(_cited(one, lines)) for one in coded]
    chosen: set[int] = set()
    room = most_tokens
    for rank in range(max((len(numbers) for numbers in wanted), default=0)):
        for number in (numbers[rank] for numbers in wanted if rank < len(numbers)):
            for near in (number - 1, number):
                line = lines.by_number.get(near)
                if line is None or near in chosen:
                    continue
                room -= estimate_tokens(line.text)
                if room < 0:
                    return tuple(line for line in lines.lines if line.number in chosen)
                chosen.add(near)
    return tuple(line for line in lines.lines if line.number in chosen)


def _cited(coded: Coded, lines: Lines) -> Iterable[int]:
    numbers = {line.segment.id: line.number for line in lines.lines}
    found = {move.segment_id for move in coded.moves} | {marker.segment_id for marker in coded.markers}
    found |= {action.segment_id for action in coded.actions}
    return {numbers[segment_id] for segment_id in found} | {line.number for line, _ in coded.notes}


def _measured(metrics: Metrics) -> str:
    """Given so that they need not be guessed; never asked for."""
    facts = {
        "coach's share of speech": metrics.coach_speaking_ratio,
        "client's share of speech": metrics.client_speaking_ratio,
        "coach's median wait after the client, in seconds": metrics.patience_s,
        "changes of speaker an hour": metrics.interactivity_per_hour,
    }
    return "\n".join(f"- {name}: {value:.2f}" for name, value in facts.items() if value is not None)


@dataclass(frozen=True, slots=True)
class Judged:
    """What of the judgement holds; None and empty where nothing did."""

    skills: dict[str, Skill]
    diagnosis: Diagnosis | None
    prescriptions: tuple[Prescription, ...]
    summary: str


def checked_judgement(judgement: Judgement, analysis: Analysis, checker: Checker, said: Said) -> Judged:
    return _Reader(analysis, checker, said).read(judgement)


@dataclass(frozen=True)
class _Reader:
    analysis: Analysis
    checker: Checker
    said: Said

    def read(self, judgement: Judgement) -> Judged:
        skills = {name: self._skill(name, getattr(judgement, name)) for name in SKILLS}
        return Judged(
            skills={name: skill for name, skill in skills.items() if skill},
            diagnosis=self._diagnosis(judgement),
            prescriptions=self._prescriptions(judgement.prescriptions),
            summary=self._text(judgement.summary, LONGEST_SUMMARY),
        )

    def _text(self, text: str, longest: int) -> str:
        return supported(text, self.said, self.checker, longest)

    def _skill(self, name: str, answer: SkillAnswer) -> Skill | None:
        found = self.checker.check_all(answer.evidence, role=Role.COACH)
        rationale = self._text(answer.rationale, LONGEST_TEXT)
        if not found or not rationale:
            self.checker.drop(NO_EVIDENCE)
            return None
        examples = tuple(dict.fromkeys(one.example for one in found))[:MOST_EXAMPLES]
        confidence = self._confidence(name, answer.score, len(found) / len(answer.evidence))
        return Skill(float(answer.score), confidence, rationale, examples)

    def _confidence(self, name: str, score: int, held: float) -> float:
        """Less for a short talk, for quotations that did not hold, and for disagreement with the rules."""
        own = self.analysis.metrics.per_speaker or {}
        speech_ms = 1000 * sum(one.speaking_s for one in own.values())
        evidence = 0.5 + 0.5 * min(1.0, speech_ms / FULL_EVIDENCE_MS)
        by_rules: Skill = getattr(self.analysis.report.coaching_skills, name)
        agreement = 0.5 if by_rules.score is None else 1 - abs(score - by_rules.score) / 4
        return round(CONFIDENCE[name] * evidence * (0.5 + 0.5 * agreement) * held, 2)

    def _diagnosis(self, judgement: Judgement) -> Diagnosis | None:
        answer = judgement.diagnosis
        found = self.checker.check_all(answer.evidence)
        name, description = self._text(answer.name, LONGEST_TITLE), self._text(answer.description, LONGEST_TEXT)
        if found and name and description:
            return Diagnosis(answer.key, name, ICONS[answer.key], description)
        self.checker.drop(NO_EVIDENCE)
        return None

    def _prescriptions(self, answers: Sequence[PrescriptionAnswer]) -> tuple[Prescription, ...]:
        found = [self._prescription(number, answer) for number, answer in enumerate(answers, start=1)]
        return tuple(one for one in found if one is not None)[:MOST_PRESCRIPTIONS]

    def _prescription(self, number: int, answer: PrescriptionAnswer) -> Prescription | None:
        found = self.checker.check(answer)
        if found is None:
            return None
        title, text = self._text(answer.title, LONGEST_TITLE), self._text(answer.text, LONGEST_TEXT)
        if not (title and text):
            return None
        segment = found.line.segment
        return Prescription(f"model_{number}", answer.skill, title, text, segment.start_s, segment.id, found.quote)
