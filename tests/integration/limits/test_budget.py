"""Money: each call is written down before it is made, and no cap is passed, whoever asks at the same moment."""

import threading
from collections.abc import Callable, Iterator

import pytest

from shared.domain.errors import BudgetExhausted, Fenced, ProviderRejected, ProviderUnavailable
from shared.domain.ids import OwnerId
from shared.domain.limits import Spent
from shared.guard.provider import ProviderGate
from shared.guard.spender import spending
from shared.ports.provider import Units
from shared.ports.purse import Spender
from shared.settings import Settings
from shared.store.usage import Spending
from shared.toolbox import Toolbox
from tests.integration.api.harness import Worker
from tests.integration.limits.conftest import new_spender, set_limits

pytestmark = pytest.mark.integration

HOUR = Units(audio_s=3600.0)  # 0.36 USD of whisper-1


@pytest.fixture
def gate(toolbox: Toolbox) -> Iterator[ProviderGate]:
    made = ProviderGate(toolbox.settings, toolbox.spending)
    yield made
    made.close()


def ask(gate: ProviderGate, spender: Spender, expected: Units = HOUR, used: Units | None = None) -> None:
    with spending(spender), gate.call("openai", "whisper-1", expected) as call:
        if used:
            call.used(used)


def fail(gate: ProviderGate, spender: Spender, failure: Exception) -> None:
    with pytest.raises(type(failure)), spending(spender), gate.call("openai", "whisper-1", HOUR):
        raise failure


def cost(toolbox: Toolbox, spender: Spender) -> list[Spent]:
    return toolbox.spending.of_job(spender.owner_id, spender.job_id)


def test_a_call_is_in_the_book(gate: ProviderGate, toolbox: Toolbox, spender: Spender) -> None:
    """Reserved at the estimate, settled at what was used, in micro-dollars."""
    ask(gate, spender, used=Units(audio_s=1800.0))
    assert cost(toolbox, spender) == [Spent("openai", "whisper-1", 1, 0, 0, 1800.0, 0, 180_000)]


def test_the_cap_of_a_job_holds_before_the_call(gate: ProviderGate, toolbox: Toolbox, spender: Spender) -> None:
    """What would pass the cap is not asked for; the error is final and says limit and use."""
    set_limits(toolbox, spender.owner_id, job_budget_usd=0.5)
    ask(gate, spender)
    with pytest.raises(BudgetExhausted) as caught:
        ask(gate, spender)
    assert caught.value.details["limit"] == "job_budget_usd"
    assert caught.value.details["used_usd"] == pytest.approx(0.36)
    assert not caught.value.retryable
    assert cost(toolbox, spender)[0].calls == 1
    ask(gate, spender, expected=Units(audio_s=1200.0))  # a smaller one still fits


def test_the_cap_of_a_day_reaches_over_jobs(
    gate: ProviderGate, toolbox: Toolbox, owner: OwnerId, worker: Worker
) -> None:
    """A second job of the same owner finds what the first has left; it says when the day ends."""
    set_limits(toolbox, owner, owner_day_budget_usd=0.5)
    ask(gate, new_spender(toolbox, owner, worker))
    with pytest.raises(BudgetExhausted) as caught:
        ask(gate, new_spender(toolbox, owner, worker))
    assert caught.value.details["limit"] == "owner_day_budget_usd"
    assert str(caught.value.details["frees_at"]).endswith("T00:00:00+00:00")
    stranger = toolbox.ledger.create_owner("stranger")
    ask(gate, new_spender(toolbox, stranger, worker))


def test_many_at_once_do_not_pass_the_cap(toolbox: Toolbox, owner: OwnerId, worker: Worker) -> None:
    """Twelve jobs ask at the same moment for a day's last three calls: three get them."""
    set_limits(toolbox, owner, owner_day_budget_usd=1.1)
    gate = ProviderGate(toolbox.settings, toolbox.spending)
    spenders = [new_spender(toolbox, owner, worker) for _ in range(12)]
    outcomes = at_once([lambda spender=spender: ask(gate, spender) for spender in spenders])
    gate.close()
    assert sorted(outcomes) == ["BudgetExhausted"] * 9 + ["done"] * 3


def at_once(deeds: list[Callable[[], None]]) -> list[str]:
    """Runs them in threads that start together; what became of each."""
    start, outcomes = threading.Barrier(len(deeds)), list[str]()

    def run(deed: Callable[[], None]) -> None:
        start.wait(10)
        try:
            deed()
            outcomes.append("done")
        except Exception as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_a_refusal_is_free_and_a_time_out_is_not(gate: ProviderGate, toolbox: Toolbox, spender: Spender) -> None:
    """429, a bad request and a failed connection cost nothing; where nobody knows, the estimate stays."""
    fail(gate, spender, ProviderUnavailable("busy", answered=True))
    fail(gate, spender, ProviderRejected("bad request"))
    fail(gate, spender, ProviderUnavailable("no connection", sent=False))
    assert sum(item.micro_usd for item in cost(toolbox, spender)) == 0
    fail(gate, spender, ProviderUnavailable("no answer in time"))
    assert [(item.calls, item.micro_usd) for item in cost(toolbox, spender)] == [(4, 360_000)]


def test_who_lost_the_run_spends_nothing(gate: ProviderGate, toolbox: Toolbox, spender: Spender) -> None:
    """A frozen worker that wakes up late is stopped before it pays, and the money of before stays in the book."""
    ask(gate, spender)
    other = Spender(spender.owner_id, spender.job_id, spender.run_id, "00000000-0000-0000-0000-000000000000")
    with pytest.raises(Fenced):
        ask(gate, other)
    assert cost(toolbox, spender)[0].calls == 1


def test_a_killed_worker_s_call_keeps_its_estimate(toolbox: Toolbox, spender: Spender, settings: Settings) -> None:
    """An entry that nobody settled may be on the bill: it counts."""
    from shared.ports.purse import Purchase

    Spending(toolbox.ledger.database, settings).reserve(spender, Purchase("openai", "whisper-1", HOUR, 360_000))
    assert cost(toolbox, spender)[0].micro_usd == 360_000


def test_a_deleted_job_leaves_its_cost(gate: ProviderGate, toolbox: Toolbox, spender: Spender) -> None:
    """Deleting gives no budget back."""
    ask(gate, spender)
    toolbox.ledger.cancel(spender.owner_id, spender.job_id)
    toolbox.ledger.delete_job(spender.owner_id, spender.job_id)
    money = toolbox.owner_use.now(spender.owner_id)[1]
    assert (money.micro_usd_day, money.micro_usd_month) == (360_000, 360_000)


def test_outside_a_run_nobody_pays(gate: ProviderGate, toolbox: Toolbox, spender: Spender) -> None:
    """A measurement on the command line has no owner."""
    with gate.call("openai", "whisper-1", HOUR):
        pass
    assert cost(toolbox, spender) == []
