"""Asking the model: within the budget, with one repair of an unreadable answer, several questions at once.

A wait that the gate asks for is spent here when there is time for it: giving the stage back would ask everything anew.
"""

import contextvars
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from pydantic import BaseModel

from pipelines.insight.model.budget import Budget, expected_use
from pipelines.insight.model.prompts import Prompts
from pipelines.insight.model.wire import read_answer
from shared.domain.errors import (
    AnswerInvalid,
    AnswerUnusable,
    ProviderPaused,
    ProviderUnavailable,
    VibeInsightError,
)
from shared.ports.language import Answer, LanguageModel, Question, Usage
from shared.ports.tick import Tick

T = TypeVar("T", bound=BaseModel)
LOOK_S = 0.5  # how often a cancel is looked for while answers are on their way
BEGIN = 300  # characters of an unreadable answer that are shown to the model again


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """One of the two: what the model said, or why nothing of it could be used."""

    shape: T | None = None
    failure: VibeInsightError | None = None


@dataclass
class Asker:
    model: LanguageModel
    budget: Budget
    prompts: Prompts
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    versions: set[str] = field(default_factory=set)  # of the model, as its provider reports it

    def __post_init__(self) -> None:
        self._until = self.clock() + self.budget.limits.last_question_s

    def ask(self, question: Question, shape: type[T]) -> T:
        """Raises AnswerUnusable after one repair, ProviderUnavailable, ProviderRejected or BudgetExhausted."""
        text = self._answer(question)
        try:
            return read_answer(shape, text)
        except AnswerInvalid as error:
            return read_answer(shape, self._answer(self._repair(question, text, error)))

    def ask_all(
        self, questions: Sequence[Question], shape: type[T], told: Callable[[int], None], tick: Tick
    ) -> list[Answered[T]]:
        """In the order of the questions; `told` gets how many are answered. Trouble that may pass is raised."""
        pool = ThreadPoolExecutor(self.budget.limits.at_once, thread_name_prefix="question")
        try:
            futures = [pool.submit(contextvars.copy_context().run, self._try, one, shape) for one in questions]
            self._watch(futures, told, tick)
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # a cancel does not wait for answers

    def ask_one(self, question: Question, shape: type[T], tick: Tick) -> Answered[T]:
        return self.ask_all([question], shape, lambda done: None, tick)[0]

    def _watch(self, futures: Sequence[Future[Answered[T]]], told: Callable[[int], None], tick: Tick) -> None:
        waiting: set[Future[Answered[T]]] = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=LOOK_S, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            told(len(futures) - len(waiting))
            tick(0.0)

    def _try(self, question: Question, shape: type[T]) -> Answered[T]:
        try:
            return Answered(self.ask(question, shape))
        except AnswerUnusable as error:  # this answer's own trouble; a refused key or an empty purse is everybody's
            return Answered(failure=error)

    def _answer(self, question: Question) -> str:
        expected = expected_use(question)
        self.budget.reserve(expected)
        used = Usage()
        try:
            answer = self._patiently(question)
            used = answer.usage if answer.usage.tokens else expected  # not counted: the estimate stands
            self.versions.add(answer.version or "")
            return answer.text
        except AnswerUnusable as error:
            used = _spent(error)
            raise
        finally:
            self.budget.settle(expected, used)

    def _patiently(self, question: Question) -> Answer:
        while True:
            if self.clock() > self._until:
                raise ProviderUnavailable("The language model took longer than the stage has; try again later")
            try:
                return self.model.ask(question)
            except ProviderPaused as paused:
                self._wait_or_leave(paused)

    def _wait_or_leave(self, paused: ProviderPaused) -> None:
        """Room that frees in time is waited for; an open circuit is not."""
        wait_s = paused.details.get("retry_after_s")
        passing = paused.details.get("reason") in ("rate", "busy") and isinstance(wait_s, int | float)
        if not passing or self.clock() + float(wait_s) > self._until:  # type: ignore[arg-type]
            raise paused
        self.sleep(float(wait_s))  # type: ignore[arg-type]

    def _repair(self, question: Question, text: str, error: AnswerInvalid) -> Question:
        told = self.prompts.repair(error.message, " ".join(text[:BEGIN].split()))
        return replace(question, user=f"{question.user}\n\n{told}")


def _spent(error: AnswerUnusable) -> Usage:
    tokens = [error.details.get(name, 0) for name in ("input_tokens", "output_tokens")]
    return Usage(*(count if isinstance(count, int) else 0 for count in tokens))
