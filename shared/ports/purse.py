"""Port to the book of what provider calls have cost. Money is counted in whole micro-dollars."""

from dataclasses import dataclass
from typing import Protocol

from shared.domain.ids import JobId, OwnerId, RunId
from shared.ports.provider import Units


@dataclass(frozen=True, slots=True)
class Spender:
    """For whose job a call is made, and by which claim of which run."""

    owner_id: OwnerId
    job_id: JobId
    run_id: RunId
    token: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """A call that is about to be made, at its estimate."""

    provider: str
    model: str
    expected: Units
    micro_usd: int


class Purse(Protocol):
    def reserve(self, spender: Spender, purchase: Purchase) -> str:
        """The entry's id. Raises BudgetExhausted when a cap would be passed, Fenced when the run is not ours."""
        ...

    def settle(self, entry: str, units: Units, micro_usd: int, outcome: str) -> None:
        """What it was in the end. An entry that is never settled keeps its estimate: the money may be gone."""
        ...
