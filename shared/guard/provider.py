"""The gate before every provider call: shared limits, a shared circuit, and what the call costs.

All workers share one view of a provider, kept in Redis by two scripts (gate_enter.lua, gate_leave.lua): one round trip
before a call, one after it. The order of things: is there room → is there money → call → what was it.

When Redis is away the gate lets calls through, a few at a time in each process, and says so in the log: the caps on
money are in PostgreSQL and hold, and a provider that is asked too often says so itself.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any
from uuid import uuid4

import structlog

from shared.domain.errors import ProviderPaused, VibeInsightError
from shared.guard.away import SharedMemory
from shared.guard.breaker import BREAKER, Breaker, asked_s, outcome_of
from shared.guard.prices import Prices
from shared.guard.spender import current_spender
from shared.observe.calls import request_of
from shared.observe.providers import ProviderMetrics
from shared.ports.provider import ProviderCall, Units
from shared.ports.purse import Purchase, Purse
from shared.settings import ProviderLimits, Settings

PATIENCE_S = 5.0  # a wait shorter than taking the run up again costs is spent here; a longer one is the ledger's
PLACE_S = 300.0  # a call ends within the stage's 270 s; the place of a killed worker is free after this
PROBE_S = 120.0  # one try of an adapter takes at most 100 s
BURST_S = 10.0  # of the minute's rate may be used at once
ALONE = 2  # calls at once in a process that cannot ask the others

_SCRIPTS = {name: Path(__file__).with_name(f"gate_{name}.lua").read_text() for name in ("enter", "leave")}
log = structlog.get_logger(__name__)


@dataclass
class Call:
    """One call, while it is made."""

    provider: str
    model: str
    expected: Units
    id: str = field(default_factory=lambda: uuid4().hex)
    entry: str | None = None  # in the purse
    actual: Units | None = None

    def used(self, units: Units) -> None:
        self.actual = units


class ProviderGate:
    """Port `Gate`."""

    def __init__(  # each is replaced in some test
        self,
        settings: Settings,
        purse: Purse,
        *,
        prices: Prices | None = None,
        breaker: Breaker = BREAKER,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings, self._purse, self._breaker, self._sleep = settings, purse, breaker, sleep
        self._prices = prices or Prices.load(settings.prices_file)
        self._memory = SharedMemory(settings)
        self._alone = BoundedSemaphore(ALONE)
        self._metrics = ProviderMetrics()

    @contextmanager
    def call(self, provider: str, model: str, expected: Units) -> Iterator[ProviderCall]:
        call = Call(provider, model, expected)
        shared = self._enter(call)
        if not shared:
            self._alone.acquire()
        failure: BaseException | None = None
        try:
            self._reserve(call)
            with request_of(provider, model):
                yield call
        except BaseException as error:
            failure = error
            raise
        finally:
            if not shared:
                self._alone.release()
            self._leave(call, failure, shared=shared)

    def close(self) -> None:
        self._memory.close()

    # ---- room

    def _enter(self, call: Call) -> bool:
        """True: counted among all workers' calls. False: Redis is away. Raises ProviderPaused."""
        left_s = PATIENCE_S
        while True:
            answer = self._memory.ask("provider", lambda client: self._run(client, "enter", call, self._asks(call)))
            if answer is None:
                return False
            reason, wait_s, probing = answer[0], float(answer[1]), bool(int(answer[2]))
            if not reason:
                if probing:
                    log.info("provider.probed", provider=call.provider)
                return True
            if reason not in ("rate", "busy") or wait_s > left_s:
                raise self._paused(call, reason, wait_s)
            self._sleep(wait_s)
            left_s -= wait_s

    def _asks(self, call: Call) -> list[object]:
        limits = self._limits(call.provider)
        rates = (limits.requests_per_minute, limits.tokens_per_minute, call.expected.tokens)
        return [call.id, limits.at_once, PLACE_S, PROBE_S, *rates, BURST_S]

    def _paused(self, call: Call, reason: str, wait_s: float) -> ProviderPaused:
        self._metrics.held(call.provider, reason)
        log.info("provider.held", provider=call.provider, model=call.model, reason=reason, wait_s=round(wait_s, 1))
        why = _WHY[reason]
        return ProviderPaused(
            f"{call.provider} is not asked just now: {why}; tried again in {wait_s:.0f} s",
            provider=call.provider,
            reason=reason,
            retry_after_s=wait_s,
        )

    # ---- money

    def _reserve(self, call: Call) -> None:
        spender = current_spender()
        if spender is not None:
            cost = self._prices.micro_usd(call.provider, call.model, call.expected)
            call.entry = self._purse.reserve(spender, Purchase(call.provider, call.model, call.expected, cost))

    def _settle(self, call: Call, failure: BaseException | None, outcome: str) -> None:
        """Refused or never sent is free. Where nobody knows, the estimate stands: it may be on the bill."""
        if call.entry is None:
            return
        details = failure.details if isinstance(failure, VibeInsightError) else {}
        free = outcome in ("empty", "rejected") or details.get("sent") is False or details.get("answered") is True
        units = call.actual or (Units() if failure is not None and free else call.expected)
        cost = self._prices.micro_usd(call.provider, call.model, units)
        try:
            self._purse.settle(call.entry, units, cost, outcome)
        except VibeInsightError as error:
            log.warning("provider.not_settled", entry=call.entry, code=error.code)  # the estimate stays in the book

    # ---- what was learnt

    def _leave(self, call: Call, failure: BaseException | None, *, shared: bool) -> None:
        if call.entry is None and failure is not None and current_spender() is not None:
            outcome = "neutral"  # the purse said no: the provider was not asked
        else:
            outcome = outcome_of(failure)
        self._metrics.called(call.provider, call.model, outcome)
        self._settle(call, failure, outcome)
        if shared:
            said = self._learnt(call, failure, outcome)
            answer = self._memory.ask("provider", lambda client: self._run(client, "leave", call, said))
            if answer is not None and float(answer[1]) > 0:
                self._metrics.opened(call.provider)
                log.warning("provider.opened", provider=call.provider, failures=answer[0], open_s=float(answer[1]))

    def _learnt(self, call: Call, failure: BaseException | None, outcome: str) -> list[object]:
        told = "success" if outcome == "rejected" else outcome  # it said no, but it answered
        more = (call.actual.tokens - call.expected.tokens) if call.actual else 0
        rules = self._breaker
        learnt = [call.id, told, more, self._limits(call.provider).tokens_per_minute, asked_s(failure)]
        return [*learnt, rules.failures, rules.share, rules.window_s, rules.first_open_s, rules.longest_open_s]

    def _run(self, client: Any, script: str, call: Call, arguments: list[object]) -> Any:
        """The braces put one provider's keys on one node of a cluster."""
        of_provider = f"vibeinsight:gate:{{{call.provider}}}"
        rates = f"{of_provider}:{call.model}"
        keys = (f"{of_provider}:circuit", f"{of_provider}:places", f"{rates}:requests", f"{rates}:tokens")
        return client.register_script(_SCRIPTS[script])(keys, arguments)

    def _limits(self, provider: str) -> ProviderLimits:
        return self._settings.provider_limits.get(provider, ProviderLimits())


_WHY = {
    "asked": "it asked to be left alone for a while",
    "open": "it has failed too often",
    "probing": "it has failed too often, and one call is finding out whether it works again",
    "busy": "as many calls as are allowed at once are under way",
    "rate": "the requests or tokens of this minute are used up",
}
