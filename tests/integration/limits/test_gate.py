"""The provider gate: one circuit and one set of limits for all workers, kept in a real Redis."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis
from pydantic import SecretStr

from shared.domain.errors import NotAudio, ProviderPaused, ProviderRejected, ProviderUnavailable
from shared.guard.breaker import Breaker
from shared.guard.provider import ProviderGate
from shared.ports.provider import Units
from shared.settings import ProviderLimits, Settings
from shared.toolbox import Toolbox

pytestmark = pytest.mark.integration

ONE = Units(tokens_in=10)
BRISK = Breaker(failures=3, share=0.5, window_s=60.0, first_open_s=0.3, longest_open_s=5.0)


class Gates:
    """Gates as several workers have them: each with a connection of its own."""

    def __init__(self, settings: Settings, toolbox: Toolbox) -> None:
        self._settings, self._toolbox = settings, toolbox
        self._open: list[ProviderGate] = []
        self.slept: list[float] = []

    def new(self, breaker: Breaker = BRISK, **limits: int) -> ProviderGate:
        chosen = self._settings.model_copy(update={"provider_limits": {"openai": ProviderLimits(**limits)}})
        gate = ProviderGate(chosen, self._toolbox.spending, breaker=breaker, sleep=self.slept.append)
        self._open.append(gate)
        return gate

    def close(self) -> None:
        for gate in self._open:
            gate.close()


@pytest.fixture
def gates(settings: Settings, toolbox: Toolbox, memory: "redis.Redis") -> Iterator[Gates]:
    made = Gates(settings, toolbox)
    yield made
    made.close()


def ask(gate: ProviderGate, failure: Exception | None = None, expected: Units = ONE) -> None:
    """One call, which ends as told."""
    with gate.call("openai", "gpt-4o-mini", expected):
        if failure:
            raise failure


def refused(gate: ProviderGate, expected: Units = ONE) -> ProviderPaused:
    """The gate's refusal; nothing was called."""
    with pytest.raises(ProviderPaused) as caught, gate.call("openai", "gpt-4o-mini", expected):
        pytest.fail("the call was made")
    return caught.value


def break_it(gate: ProviderGate, times: int = 3) -> None:
    for _ in range(times):
        with pytest.raises(ProviderUnavailable):
            ask(gate, ProviderUnavailable("it is down"))


def test_the_circuit_opens_for_every_worker(gates: Gates) -> None:
    """Failures that one worker sees keep another from asking; the refusal says when to come back."""
    one, other = gates.new(), gates.new()
    break_it(one)
    error = refused(other)
    assert error.details["reason"] == "open"
    assert 0 < float(str(error.details["retry_after_s"])) <= 0.3
    assert not error.counts_as_attempt


def test_one_call_finds_out_whether_it_works_again(gates: Gates) -> None:
    """Half open: a second worker is refused while the probe is under way, and its success closes the circuit."""
    one, other = gates.new(), gates.new()
    break_it(one)
    wait_open(one)
    with one.call("openai", "gpt-4o-mini", ONE):
        assert refused(other).details["reason"] == "probing"
    ask(other)
    ask(one)


def test_a_probe_that_fails_opens_for_longer(gates: Gates) -> None:
    """Twice as long each time."""
    gate = gates.new()
    break_it(gate)
    wait_open(gate)
    break_it(gate, times=1)
    assert float(str(refused(gate).details["retry_after_s"])) > 0.4


def wait_open(gate: ProviderGate) -> None:
    """Until the circuit is half open."""
    threading.Event().wait(float(str(refused(gate).details["retry_after_s"])) + 0.02)


def test_successes_between_failures_keep_it_closed(gates: Gates) -> None:
    """Half of the calls must fail, not merely some."""
    gate = gates.new()
    for _ in range(5):
        ask(gate)
    break_it(gate, times=4)
    ask(gate)


def test_what_the_provider_asks_for_holds_for_all(gates: Gates) -> None:
    """One 429 with Retry-After keeps every worker away for that long, however few failures there were."""
    one, other = gates.new(), gates.new()
    with pytest.raises(ProviderUnavailable):
        ask(one, ProviderUnavailable("slow down", retry_after_s=30.0, answered=True))
    error = refused(other)
    assert error.details["reason"] == "asked"
    assert 29 < float(str(error.details["retry_after_s"])) <= 30


def test_an_empty_account_opens_at_once(gates: Gates) -> None:
    """Every further call would be refused as well."""
    gate = gates.new()
    with pytest.raises(ProviderRejected):
        ask(gate, ProviderRejected("no credit", no_credit=True))
    assert refused(gate).details["reason"] == "open"


def test_a_no_is_an_answer(gates: Gates) -> None:
    """A provider that refuses bad requests works; so does one whose answer breaks our own code."""
    gate = gates.new()
    for failure in (ProviderRejected("bad request"), NotAudio("ours")) * 5:
        with pytest.raises((ProviderRejected, NotAudio)):
            ask(gate, failure)
    ask(gate)


def test_places_are_shared_and_given_back(gates: Gates, memory: "redis.Redis") -> None:
    """Two at once in all workers together; a third waits a moment and is then held, until one has ended."""
    one, other = gates.new(at_once=2), gates.new(at_once=2)
    with ExitStack() as under_way:
        under_way.enter_context(one.call("openai", "gpt-4o-mini", ONE))
        under_way.enter_context(other.call("openai", "gpt-4o-mini", ONE))
        assert refused(other).details["reason"] == "busy"
        assert sum(gates.slept) == pytest.approx(5.0, abs=0.3)
    ask(other)
    assert memory.zcard("vibeinsight:gate:{openai}:places") == 0


def test_requests_a_minute_are_shared(gates: Gates) -> None:
    """A sixth of the minute's requests may go at once; the next is told how long to wait."""
    one, other = gates.new(requests_per_minute=6), gates.new(requests_per_minute=6)
    ask(one)
    error = refused(other)
    assert error.details["reason"] == "rate"
    assert float(str(error.details["retry_after_s"])) == pytest.approx(10.0, abs=0.5)


def test_a_short_wait_is_waited_here(gates: Gates) -> None:
    """Up to five seconds are spent inside the call instead of giving the run back."""
    gate = gates.new(requests_per_minute=30)
    for _ in range(5):
        ask(gate)
    refused(gate)  # the clock stands still: nothing frees while this `sleep` only takes notes
    assert gates.slept
    assert sum(gates.slept) <= 5.0


def test_tokens_are_settled_with_what_was_used(gates: Gates) -> None:
    """An estimate that was too high gives back what it held; one that was too low is paid afterwards."""
    gate = gates.new(tokens_per_minute=6_000)
    with gate.call("openai", "gpt-4o-mini", Units(tokens_in=1_000)) as call:
        call.used(Units(tokens_in=10))
    with gate.call("openai", "gpt-4o-mini", Units(tokens_in=900)) as call:
        call.used(Units(tokens_in=5_000))
    assert float(str(refused(gate, Units(tokens_in=900)).details["retry_after_s"])) > 30


def test_a_call_larger_than_a_minute_goes_when_nothing_else_does(gates: Gates) -> None:
    """It would otherwise never go at all."""
    gate = gates.new(tokens_per_minute=100)
    ask(gate, expected=Units(tokens_in=5_000))
    assert refused(gate).details["reason"] == "rate"


def test_a_killed_worker_s_place_is_free_again(gates: Gates, memory: "redis.Redis") -> None:
    """A place that was never given back ends by itself."""
    memory.zadd("vibeinsight:gate:{openai}:places", {"of-a-dead-worker": 1.0})
    ask(gates.new(at_once=1))


def test_without_redis_calls_go_on(settings: Settings, toolbox: Toolbox, free_port: int) -> None:
    """The gate lets calls through, two at a time a process, and asks Redis again only after some seconds."""
    nowhere = settings.model_copy(update={"redis_url": SecretStr(f"redis://127.0.0.1:{free_port}/0")})
    gate = ProviderGate(nowhere, toolbox.spending)
    ask(gate)
    with pytest.raises(ProviderUnavailable):
        ask(gate, ProviderUnavailable("it is down"))
    assert peak_of(gate) == 2
    gate.close()


def peak_of(gate: ProviderGate) -> int:
    """How many of six calls were under way at once."""
    now, peak, lock = 0, 0, threading.Lock()

    def one() -> None:
        nonlocal now, peak
        with gate.call("openai", "gpt-4o-mini", ONE):
            with lock:
                now += 1
                peak = max(peak, now)
            threading.Event().wait(0.05)
            with lock:
                now -= 1

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return peak
