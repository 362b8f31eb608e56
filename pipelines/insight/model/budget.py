"""What one analysis may use: tokens and money, reserved before each question and settled after its answer."""

import threading
from dataclasses import dataclass, field

from shared.domain.errors import BudgetExhausted
from shared.domain.tokens import estimate_tokens
from shared.ports.language import Capabilities, Question, Usage

NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one analysis, as the settings have them."""

    tokens: int
    usd: float
    at_once: int
    thinking_tokens: int = 0  # room for a model's thinking, which counts as answer
    last_question_s: float = 130.0  # after this no question is begun: 100 s later the stage's 240 s are nearly used up


@dataclass
class Budget:
    """Asked from several threads."""

    limits: Limits
    prices: Capabilities
    spent: Usage = NOTHING
    questions: int = 0
    _reserved: Usage = NOTHING
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, plan: Usage) -> None:
        """Before anything is spent on an analysis that could not be finished. Raises BudgetExhausted."""
        with self._lock:
            self._check(self.spent + self._reserved + plan)

    def reserve(self, expected: Usage) -> None:
        with self._lock:
            self._check(self.spent + self._reserved + expected)
            self._reserved += expected
            self.questions += 1

    def settle(self, expected: Usage, used: Usage) -> None:
        with self._lock:
            self._reserved = Usage(
                self._reserved.input_tokens - expected.input_tokens,
                self._reserved.output_tokens - expected.output_tokens,
            )
            self.spent += used

    @property
    def cost_usd(self) -> float:
        return round(self._cost(self.spent), 6)

    def _cost(self, usage: Usage) -> float:
        per_million = usage.input_tokens * self.prices.input_usd + usage.output_tokens * self.prices.output_usd
        return per_million / 1_000_000

    def _check(self, needed: Usage) -> None:
        cost = self._cost(needed)
        if needed.tokens <= self.limits.tokens and cost <= self.limits.usd:
            return
        raise BudgetExhausted(
            f"The analysis would take {needed.tokens} tokens and {cost:.2f} USD, and {self.limits.tokens} tokens and"
            f" {self.limits.usd:.2f} USD are allowed; raise VIBEINSIGHT_ANALYSIS_TOKEN_BUDGET or _USD_BUDGET",
            limit="analysis_budget",
        )


def expected_use(question: Question) -> Usage:
    """An honest upper estimate."""
    asked = estimate_tokens(question.system) + estimate_tokens(question.user) + estimate_tokens(str(question.schema))
    return Usage(asked, question.max_output_tokens)
