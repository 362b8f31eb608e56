"""Port to the gate that stands before every call of a provider: it knows the provider's limits, state and price.

How an adapter uses it (one `with` a request, inside tenacity; the SDK's own retries are off):

    with self._gate.call("openai", "gpt-5-mini", Units(tokens_in=6_000, tokens_out=1_500)) as call:
        reply = client.responses.create(…)
        call.used(Units(tokens_in=reply.usage.input_tokens, tokens_out=reply.usage.output_tokens))

What `call` is told beforehand is what is reserved: an honest upper estimate. Without `used` the estimate stands.

Before the request the gate raises, and nothing has been sent:
 - `ProviderPaused` (a ProviderUnavailable): the circuit is open, or the shared limits leave no room soon. Do not wait:
   let it out of the stage, and the run goes back to the ledger without the attempt being counted.
 - `BudgetExhausted`: the cap of the job or of its owner would be passed. Final: fail, or go on without the provider.

After the request the gate learns from the exception that leaves the block. Raise inside it, as the adapters do:
 - `ProviderUnavailable(…, retry_after_s=30.0)`: 429, 5xx, time-out; counts against the provider, and its
   Retry-After holds for every worker. Say `sent=False` when nothing can have reached the provider, and
   `answered=True` when it refused: neither costs anything. A time-out says neither, and the estimate is kept.
 - `ProviderRejected(…, no_credit=True)`: the account is empty; opens the circuit at once.
 - any other ProviderRejected: the provider works, it only said no.

Who pays is known from `spending(…)` in shared/guard/spender.py, which the worker's runner sets for each stage run.
Threads begin without it: start them with `contextvars.copy_context().run`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Units:
    """What a provider counts."""

    tokens_in: int = 0
    tokens_out: int = 0
    audio_s: float = 0.0
    characters: int = 0

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out


class ProviderCall(Protocol):
    def used(self, units: Units) -> None:
        """What the answer says that was used. The last word counts."""
        ...


class Gate(Protocol):
    def call(self, provider: str, model: str, expected: Units) -> AbstractContextManager[ProviderCall]: ...


class _Unmetered:
    def used(self, units: Units) -> None:
        """Nobody counts."""


class OpenGate:
    """Lets everything through: for measurements and tests of an adapter by itself."""

    @contextmanager
    def call(self, provider: str, model: str, expected: Units) -> Iterator[ProviderCall]:
        yield _Unmetered()
