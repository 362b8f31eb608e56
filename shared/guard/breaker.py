"""What a call's end says about its provider, and when that is enough to leave the provider alone.

The counting is in gate_leave.lua, for it is shared by all workers; here are the rules, and how errors are read.
"""

from dataclasses import dataclass

from shared.domain.errors import ProviderRejected, ProviderUnavailable

LONGEST_ASKED_S = 600.0  # a provider that asks for an hour is looked at again after ten minutes


@dataclass(frozen=True, slots=True)
class Breaker:
    """Open: nothing is sent. Then one call finds out (half open): it closes the circuit, or opens it for longer."""

    failures: int = 5  # fewer are an accident; a call takes up to minutes, so a window does not hold many
    share: float = 0.5  # of the calls in the window
    window_s: float = 60.0
    first_open_s: float = 20.0
    longest_open_s: float = 300.0  # doubled each time up to here


BREAKER = Breaker()


def outcome_of(failure: BaseException | None) -> str:
    """success, rejected (it said no), empty (no credit), failure, or neutral: not about the provider."""
    if failure is None:
        return "success"
    if isinstance(failure, ProviderRejected):
        return "empty" if failure.details.get("no_credit") else "rejected"
    return "failure" if isinstance(failure, ProviderUnavailable) else "neutral"


def asked_s(failure: BaseException | None) -> float:
    """The provider's own Retry-After; it holds for every worker."""
    asked = failure.details.get("retry_after_s") if isinstance(failure, ProviderUnavailable) else None
    return min(float(asked), LONGEST_ASKED_S) if isinstance(asked, int | float) else 0.0
