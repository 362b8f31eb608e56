"""The model's part of the analysis: asked, checked, and put over the rules' part where it holds.

What the model could not give stays as the rules made it, and `report.basis` says so part by part. Trouble that may pass
is raised, for the ledger to try the stage again; on the last try it becomes a warning, and the rules' report stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.insight.catalogue import REPORT_LANGUAGES
from pipelines.insight.coaching import NO_ROLES, TOO_LITTLE
from pipelines.insight.model import coding, judging
from pipelines.insight.model.asking import Answered, Asker
from pipelines.insight.model.budget import Budget, Limits, expected_use
from pipelines.insight.model.claims import Said
from pipelines.insight.model.coding import Coded
from pipelines.insight.model.evidence import Checker
from pipelines.insight.model.judging import Judged
from pipelines.insight.model.lines import Lines, Stretch
from pipelines.insight.model.merging import Findings, merged, not_asked, stands_on_rules
from pipelines.insight.model.prompts import prompts
from pipelines.insight.model.wire import Coding, Judgement
from pipelines.insight.not_measured import NO_SPEECH
from shared.domain.errors import BudgetExhausted, ProviderError, VibeInsightError
from shared.domain.insight import Analysis, Role
from shared.ports.language import LanguageModel
from shared.ports.tick import Tick

NO_MODEL = "no_language_model"
READING = 1  # raise it with every change of what is asked, checked or merged
PROMPT_TOKENS = 4_000  # instructions, markers, schema, notes
LEAST_TOKENS = 500  # of transcript in a question: less is no conversation
JUDGING_SHARE = 0.3  # of the work, as progress shows it


@dataclass(frozen=True, slots=True)
class Coached:
    """`lasting` False: a later try may find more, so this is not what the cache should give again."""

    analysis: Analysis
    lasting: bool = True


def coach(
    analysis: Analysis,
    model: LanguageModel | None,
    limits: Limits,
    tick: Tick,
    *,
    duration_s: float,
    last_try: bool = False,
) -> Coached:
    """The rules' analysis with the model's findings over it. Without a model, or a coach to look at, as it was."""
    why_not = _why_not(analysis, model)
    if model is None or why_not:
        return Coached(not_asked(analysis, why_not))
    session = _Session(analysis, model, limits, tick, duration_s, last_try=last_try)
    try:
        return session.coached()
    except (ProviderError, BudgetExhausted) as error:
        if error.retryable and not last_try:
            raise
        return session.given_up(error)


def coach_parameters(model: LanguageModel | None) -> dict[str, object] | None:
    """What of the model changes the document: for the cache key. Prompts of all languages: which one is known later."""
    if model is None:
        return None
    own = model.provenance
    texts = [prompts(language).version for language in REPORT_LANGUAGES]
    return {
        "provider": own.provider,
        "model": own.model,
        "parameters": own.parameters,
        "prompts": texts,
        "reading": READING,
    }


def _why_not(analysis: Analysis, model: LanguageModel | None) -> str:
    if model is None:
        return NO_MODEL
    if not analysis.transcript.segments:
        return NO_SPEECH
    roles = {speaker.role for speaker in analysis.speakers}
    if not {Role.COACH, Role.CLIENT} <= roles:
        return NO_ROLES
    skills = [one.code for one in analysis.not_measured if one.path.startswith("report.coaching_skills.")]
    return TOO_LITTLE if TOO_LITTLE in skills else ""  # what shows no habit to the rules shows none to a model


class _Session:
    """One conversation with one model."""

    def __init__(
        self,
        analysis: Analysis,
        model: LanguageModel,
        limits: Limits,
        tick: Tick,
        duration_s: float,
        *,
        last_try: bool,
    ) -> None:
        self._last_try = last_try
        self._analysis, self._limits, self._tick, self._duration_s = analysis, limits, tick, duration_s
        self._prompts = prompts(analysis.report_language)
        self._lines = Lines.of(analysis)
        self._said = Said.of(self._lines)
        self._checker = Checker(self._lines)
        self._budget = Budget(limits, model.capabilities)
        self._asker = Asker(model, self._budget, self._prompts)

    def coached(self) -> Coached:
        stretches = self._lines.stretches(self._fitting(coding.STRETCH_TOKENS, coding.ANSWER_TOKENS))
        questions = [coding.question_of(s, self._lines, self._prompts, self._limits.thinking_tokens) for s in stretches]
        planned = judging.planned_use(self._lines, self._analysis.metrics, self._prompts, self._room)
        self._budget.check(sum(map(expected_use, questions), start=planned))
        answers = self._asker.ask_all(questions, Coding, self._told(len(questions)), self._tick)
        coded = [self._checked(stretch, answer) for stretch, answer in zip(stretches, answers, strict=True)]
        judged = self._judge(coded)
        return self._put_together(stretches, answers, coded, judged)

    @property
    def _room(self) -> judging.Room:
        whole = self._fitting(judging.WHOLE_TOKENS, judging.ANSWER_TOKENS)
        return judging.Room(whole, self._limits.thinking_tokens)

    def _fitting(self, wanted: int, answer_tokens: int) -> int:
        """Less where the model's window is small: prompt, transcript, thinking and answer share it."""
        window = self._budget.prices.context_tokens - PROMPT_TOKENS - answer_tokens - self._limits.thinking_tokens
        return max(LEAST_TOKENS, min(wanted, window))

    def given_up(self, error: VibeInsightError) -> Coached:
        return Coached(stands_on_rules(self._analysis, self._findings(failure=error)), lasting=False)

    def _told(self, questions: int) -> "_Told":
        return _Told(self._tick, self._duration_s * (1 - JUDGING_SHARE) / questions)

    def _checked(self, stretch: Stretch, answer: Answered[Coding]) -> Coded:
        if answer.shape is None:
            return Coded()
        return coding.checked_coding(answer.shape, stretch, self._checker, self._said, self._prompts)

    def _judge(self, coded: Sequence[Coded]) -> Answered[Judgement]:
        """What was coded by now is paid for, and stands whatever becomes of the judgement."""
        question = judging.question_of(self._lines, coded, self._analysis.metrics, self._prompts, self._room)
        try:
            return self._asker.ask_one(question, Judgement, self._tick)
        except (ProviderError, BudgetExhausted) as error:
            if error.retryable and not self._last_try:
                raise
            return Answered(failure=error)

    def _put_together(
        self,
        stretches: Sequence[Stretch],
        answers: Sequence[Answered[Coding]],
        coded: Sequence[Coded],
        judgement: Answered[Judgement],
    ) -> Coached:
        findings = self._findings(
            codes=coding.codes_of(stretches, answers, coded),
            actions=coding.actions_of(coded),
            judged=self._judged(judgement),
            failure=judgement.failure,
            coding_failure=next((answer.failure for answer in answers if answer.failure), None),
        )
        whole = not (findings.failure or findings.coding_failure)
        return Coached(merged(self._analysis, findings), lasting=whole)

    def _judged(self, judgement: Answered[Judgement]) -> Judged | None:
        if judgement.shape is None:
            return None
        return judging.checked_judgement(judgement.shape, self._analysis, self._checker, self._said)

    def _findings(self, **found: object) -> Findings:
        return Findings(
            **found,  # type: ignore[arg-type]
            dropped=dict(self._checker.dropped),
            withheld=self._lines.withheld,
            provenance=self._asker.model.provenance,
            prompt_version=self._prompts.version,
            model_versions=tuple(sorted(filter(None, self._asker.versions))),
            usage={
                "questions": self._budget.questions,
                "input_tokens": self._budget.spent.input_tokens,
                "output_tokens": self._budget.spent.output_tokens,
                "cost_usd": self._budget.cost_usd,
            },
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """Progress in seconds of audio: each stretch an equal share."""

    tick: Tick
    seconds_each: float

    def __call__(self, done: int) -> None:
        self.tick(done * self.seconds_each)
