"""Port to a language model: one question, one answer that follows a JSON schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shared.domain.transcript import Provenance


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What differs between providers and models. Prices are US dollars for a million tokens."""

    json_schema: bool  # the provider itself holds the answer to the schema
    context_tokens: int  # question and answer together
    input_usd: float
    output_usd: float


@dataclass(frozen=True, slots=True)
class Question:
    """`system` holds our instructions; `user` holds data, which is never to be obeyed."""

    name: str  # of the schema: letters and underscores
    system: str
    user: str
    schema: Mapping[str, Any]
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Usage:
    """As the provider counted it, thinking included."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Answer:
    text: str  # JSON, not yet checked
    usage: Usage
    version: str | None  # of the model, as its provider reports it


class LanguageModel(Protocol):
    @property
    def provenance(self) -> Provenance:
        """Provider, model and the parameters that change its answers: part of the cache key."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    def ask(self, question: Question) -> Answer:
        """Raises ProviderUnavailable, ProviderRejected, or the AnswerUnusable that says what was wrong with it.

        Called from several threads at once.
        """
        ...
