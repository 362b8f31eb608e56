"""The small rules: what an error says about its provider, how long to wait for a queue, what earns a body its time."""

import pytest

from api.pace import LONGEST_S, Credit
from shared.domain.errors import Cancelled, ProviderPaused, ProviderRejected, ProviderUnavailable, StorageUnavailable
from shared.guard.breaker import LONGEST_ASKED_S, asked_s, outcome_of
from shared.store.pressure import LATEST_S, SOONEST_S, Entry, retry_after_s

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (None, "success"),
        (ProviderUnavailable("429"), "failure"),
        (ProviderRejected("bad request"), "rejected"),
        (ProviderRejected("no credit", no_credit=True), "empty"),
        (Cancelled("by its owner"), "neutral"),
        (StorageUnavailable("ours"), "neutral"),
        (ValueError("our own mistake"), "neutral"),
    ],
)
def test_what_an_end_says_of_the_provider(failure: BaseException | None, outcome: str) -> None:
    """Only the provider's own trouble counts against it."""
    assert outcome_of(failure) == outcome


def test_a_provider_s_wish_is_followed_within_reason() -> None:
    """An hour is looked at again after ten minutes; whoever asks for nothing gets nothing."""
    assert asked_s(ProviderUnavailable("later", retry_after_s=7.0)) == 7.0
    assert asked_s(ProviderUnavailable("later", retry_after_s=3600.0)) == LONGEST_ASKED_S
    assert asked_s(ProviderUnavailable("later")) == asked_s(ProviderRejected("no", retry_after_s=9.0)) == 0.0


def test_being_held_is_no_attempt() -> None:
    """It may be tried again, and was not tried."""
    held, failed = ProviderPaused("held"), ProviderUnavailable("failed")
    assert held.retryable
    assert failed.retryable
    assert (held.counts_as_attempt, failed.counts_as_attempt) == (False, True)


def test_the_wait_follows_the_line_s_speed() -> None:
    """How many are too many, by how many begin a second; never at once, never for ever, a guess without history."""
    assert retry_after_s(Entry(170, 0.0, 1.0), mark=100) == 100.0
    assert retry_after_s(Entry(101, 0.0, 100.0), mark=100) == SOONEST_S
    assert retry_after_s(Entry(100_000, 0.0, 0.1), mark=100) == LATEST_S
    assert retry_after_s(Entry(170, 0.0, 0.0), mark=100) == 60.0


def test_bytes_earn_time() -> None:
    """Never more than a minute ahead, so that a large beginning does not pay for an endless end."""
    credit = Credit(20.0)
    credit.earned(4096 * 5)
    assert credit.left_s == 25.0
    credit.earned(1024**3)
    assert credit.left_s == LONGEST_S
