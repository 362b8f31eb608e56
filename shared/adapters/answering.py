"""What both language model adapters share: a question's way, trying again within one call, what an answer may be."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import SecretStr
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from shared.domain.errors import (
    AnswerInvalid,
    ProviderError,
    ProviderPaused,
    ProviderRejected,
    ProviderUnavailable,
    SetupError,
)
from shared.domain.tokens import estimate_tokens
from shared.domain.transcript import Provenance
from shared.guard.prices import MILLION, Prices
from shared.ports.language import Answer, Capabilities, Question, Usage
from shared.ports.provider import Gate, OpenGate, ProviderCall, Units
from shared.settings import Settings

LONGEST_ANSWER = 400_000  # characters; the longest that is asked for has about 50,000
INSTRUCTION = "Answer with one JSON object and nothing else, no code fence. It must follow this JSON schema:\n"
RECIPE = 1  # raise it with every change of what an adapter sends or reads


@dataclass(frozen=True, slots=True)
class Patience:
    """Retries within one call. Longer trouble is the ledger's: it tries the stage again in minutes."""

    attempts: int = 2
    first_wait_s: float = 1.0  # doubled each time
    longest_wait_s: float = 15.0  # asked to wait longer, we give the worker free
    sleep: Callable[[float], None] = time.sleep

    def ask(self, once: Callable[[Question], Answer], question: Question) -> Answer:
        retrying = Retrying(
            retry=retry_if_exception(self._worth_waiting),
            stop=stop_after_attempt(self.attempts),
            wait=self._wait_s,
            sleep=self.sleep,
            reraise=True,
        )
        return retrying(once, question)

    def _wait_s(self, state: RetryCallState) -> float:
        """What the server asked for, else twice as long each time."""
        asked_s = _asked_s(state.outcome.exception() if state.outcome else None)
        return asked_s if asked_s is not None else self.first_wait_s * 2.0 ** (state.attempt_number - 1)

    def _worth_waiting(self, error: BaseException) -> bool:
        """Not for a closed gate, and not for a time-out: it has used up the time that a second try would need."""
        if not isinstance(error, ProviderUnavailable) or isinstance(error, ProviderPaused):
            return False
        if error.details.get("timed_out"):
            return False
        return (_asked_s(error) or 0.0) <= self.longest_wait_s


class AskedModel(ABC):
    """Port `LanguageModel`, but for what a vendor's SDK is asked and what its reply means."""

    def __init__(self, settings: Settings, gate: Gate | None = None, patience: Patience | None = None) -> None:
        self._settings = settings
        self._gate = gate or OpenGate()
        self._patience = patience or Patience()

    @property
    @abstractmethod
    def provenance(self) -> Provenance: ...

    @cached_property
    def capabilities(self) -> Capabilities:
        return capabilities_of(self._settings, self.provenance.provider)

    def ask(self, question: Question) -> Answer:
        return self._patience.ask(self._ask_through_gate, question)

    def _ask_through_gate(self, question: Question) -> Answer:
        """Each try is a request, so each goes through the gate."""
        _, own = self._client, self.provenance  # what is not set up is said before anything is reserved
        with self._gate.call(own.provider, own.model, expected(question)) as call:
            reply = self._ask_once(question)
            usage = self._usage(reply)
            used(call, usage)
            return self._answer(reply, usage)

    @property
    @abstractmethod
    def _client(self) -> Any:
        """The SDK's. Raises SetupError."""

    @abstractmethod
    def _ask_once(self, question: Question) -> Any:
        """The SDK's reply. Raises ProviderError."""

    @abstractmethod
    def _usage(self, reply: Any) -> Usage: ...

    @abstractmethod
    def _answer(self, reply: Any, usage: Usage) -> Answer:
        """Raises AnswerUnusable."""


def _asked_s(error: BaseException | None) -> float | None:
    asked_s = error.details.get("retry_after_s") if isinstance(error, ProviderUnavailable) else None
    return asked_s if isinstance(asked_s, float) else None


def capabilities_of(settings: Settings, provider: str) -> Capabilities:
    if settings.language_model_schema not in ("native", "instructed"):
        raise SetupError("VIBEINSIGHT_LANGUAGE_MODEL_SCHEMA is neither native nor instructed")
    prices, model = Prices.load(settings.prices_file), model_name(settings)
    return Capabilities(
        json_schema=settings.language_model_schema == "native",
        context_tokens=settings.language_model_context_tokens,
        input_usd=prices.micro_usd(provider, model, Units(tokens_in=MILLION)) / MILLION,
        output_usd=prices.micro_usd(provider, model, Units(tokens_out=MILLION)) / MILLION,
    )


def model_name(settings: Settings) -> str:
    if not settings.language_model_name:
        raise SetupError("No language model is named: set VIBEINSIGHT_LANGUAGE_MODEL_NAME, as its provider calls it")
    return settings.language_model_name


def first_key(*keys: SecretStr | None) -> str:
    """The first that is there; compose files pass on empty ones."""
    return next((found for key in keys if key and (found := key.get_secret_value())), "")


def parameters_of(settings: Settings) -> dict[str, object]:
    """What changes an answer, for provenance and cache."""
    return {
        "temperature": settings.language_model_temperature,
        "seed": settings.language_model_seed,
        "schema": settings.language_model_schema,
        "thinking_tokens": settings.language_model_thinking_tokens,
        "recipe": RECIPE,
    }


def refusal(provider: str, status: int, code: str | None, retry_after_s: float | None = None) -> ProviderError:
    """An HTTP error in our terms. Its text may repeat parts of the key or of the transcript, so it is left out."""
    if status in (401, 403):
        return ProviderRejected(f"{provider} refused the key (HTTP {status}): check the key and its rights")
    if status not in (408, 409, 429) and status < 500:
        hint = "; if it knows no JSON schema, set VIBEINSIGHT_LANGUAGE_MODEL_SCHEMA to instructed"
        message = f"{provider} refused the question (HTTP {status}, {code})"
        return ProviderRejected(message + (hint if status == 400 else ""), answered=True)
    message = f"{provider} is not available (HTTP {status}); try again later"
    return ProviderUnavailable(message, retry_after_s=retry_after_s, answered=True)


def lost(provider: str, fault: str, *, timed_out: bool, sent: bool = True) -> ProviderUnavailable:
    """`sent` False: no connection came about, so nothing can be on the bill."""
    message = f"{provider}'s answer did not arrive whole ({fault}); try again later"
    return ProviderUnavailable(message, timed_out=timed_out, sent=sent)


def expected(question: Question) -> Units:
    """What is reserved at the gate: an honest upper estimate."""
    asked = estimate_tokens(question.system) + estimate_tokens(question.user) + estimate_tokens(str(question.schema))
    return Units(tokens_in=asked, tokens_out=question.max_output_tokens)


def used(call: ProviderCall, usage: Usage) -> None:
    """Tells the gate what was counted; an endpoint that counts nothing leaves the estimate standing."""
    if usage.tokens:
        call.used(Units(tokens_in=usage.input_tokens, tokens_out=usage.output_tokens))


def spent(usage: Usage) -> dict[str, int]:
    """For the errors that say what is wrong with an answer that was paid for."""
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}


def checked(provider: str, text: str | None, usage: Usage, version: str | None) -> Answer:
    if not text or not text.strip():
        raise AnswerInvalid(f"{provider} gave an empty answer", **spent(usage))
    if len(text) > LONGEST_ANSWER:
        raise AnswerInvalid(f"{provider} gave an answer of {len(text)} characters, far more than asked", **spent(usage))
    return Answer(text, usage, version)


def seconds(header: str | None) -> float | None:
    """A Retry-After in seconds; the rarer form with a date is left to our own waiting."""
    return float(header) if header and header.isdecimal() else None
