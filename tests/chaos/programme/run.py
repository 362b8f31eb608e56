"""One run: the storm by its schedule, the calm after it, and what the oracle says."""

import heapq
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

from shared.domain.errors import StorageUnavailable
from shared.version import VERSION
from tests.chaos.programme import oracle
from tests.chaos.programme.blows import COPIES, Missed, Strike
from tests.chaos.programme.faults import FAULTS, Event, Fault, schedule
from tests.chaos.programme.profile import Profile
from tests.chaos.programme.record import KILLS, Record, Waits
from tests.chaos.programme.recovery import Recovery
from tests.chaos.programme.submitter import Submitter
from tests.chaos.programme.world import World, world

POSTPONE_S = 0.5  # when a part is broken already, or there was nothing to hit
GIVE_UP_AFTER_S = 300.0  # behind its time: a blow that finds nothing is left out, and the count shows it
REPLAYS = 3
LOOK_EVERY_S = 0.5  # for who ended by itself: a platform restarts it

Tell = Callable[[str], None]


def quiet(line: str) -> None:
    """For tests."""


def loud(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)


@dataclass(order=True)
class _Due:
    at_s: float
    order: int
    act: Callable[[], None] = field(compare=False)


class Storm:
    """Works off the schedule in one thread: blows and what mends them, each at its time."""

    def __init__(self, strike: Strike, tell: Tell) -> None:
        self._strike, self._tell = strike, tell
        self._heap: list[_Due] = []
        self._order = count()
        self._broken: set[str] = set()
        self.struck: Counter[str] = Counter()
        self.ended_by_themselves = 0
        self._began = time.monotonic()

    def rage(self, events: list[Event]) -> None:
        self._began = time.monotonic()
        for event in events:
            self._plan(event.at_s, partial(self._blow, event))
        while self._heap:
            due = heapq.heappop(self._heap)
            while (left_s := due.at_s - self._now()) > 0:
                time.sleep(min(left_s, LOOK_EVERY_S))
                self.ended_by_themselves += self._strike.world.crew.look()
            due.act()

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _plan(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._heap, _Due(at_s, next(self._order), act))

    def _blow(self, event: Event) -> None:
        fault = FAULTS[event.name]
        if fault.part in self._broken or not self._hit(fault, event.hold_s):
            if self._now() < event.at_s + GIVE_UP_AFTER_S:
                self._plan(self._now() + POSTPONE_S, partial(self._blow, event))
            return
        self.struck[fault.name] += 1
        self._tell(f"{self._now():6.1f} s  {fault.name}" + (f" for {event.hold_s:.1f} s" if event.hold_s else ""))

    def _hit(self, fault: Fault, hold_s: float) -> bool:
        try:
            heal = fault.inject(self._strike)
        except (Missed, StorageUnavailable):
            return False
        if heal is not None:
            if fault.part is not None:
                self._broken.add(fault.part)
            self._plan(self._now() + hold_s, lambda: self._mend(fault, heal))
        return True

    def _mend(self, fault: Fault, heal: Callable[[], None]) -> None:
        heal()
        if fault.part is not None:
            self._broken.discard(fault.part)


def run(profile: Profile, seed: int, folder: Path, tell: Tell = quiet) -> Record:
    """The whole programme once. The verdicts are in the record; nothing is raised for a rule that is broken."""
    with world(profile, folder) as around:
        recovery = Recovery(around.lab)
        around.crew.man(profile.workers)
        submitter = Submitter(lambda: around.crew.api_url, around.key, seed, 1.0 / profile.jobs_a_second, recovery)
        strike = Strike(around, random.Random(seed), recovery)
        storm = Storm(strike, tell)
        submitter.start()
        _await_first(around, profile)
        storm.rage(schedule(profile, around.lab.tools.settings.lease_s, seed))
        submitter.stop()
        calm_at = time.monotonic()
        tell(f"calm; {len(submitter.taken)} jobs were taken")
        replayed = _calm(around, profile)
        drain_s = time.monotonic() - calm_at
        evidence = oracle.gather(
            around, taken=submitter.taken, refused=submitter.refused + strike.complaints, bound_s=profile.bound_s
        )
        return _record(around, evidence, profile, storm, _Figures(seed, drain_s, replayed), recovery)


def _await_first(around: World, profile: Profile) -> None:
    """The storm begins when everybody is up and a job has gone through."""
    until = time.monotonic() + profile.drain_s
    while not around.lab.execute("SELECT 1 FROM jobs WHERE finished_at IS NOT NULL LIMIT 1"):
        assert time.monotonic() < until, "the engine does not start"
        time.sleep(LOOK_EVERY_S)


def _calm(around: World, profile: Profile) -> int:
    """Until every job has ended; those that had used up their attempts are asked for again, as an operator would."""
    replayed = 0
    for _ in range(REPLAYS):
        if not _all_ended(around, profile.drain_s) or not (dead := around.lab.execute(_USED_UP)):
            break
        for (job,) in dead:
            around.lab.tools.doorbell.ring(around.lab.tools.ledger.retry(around.lab.owner, job).runs)
        replayed += len(dead)
    return replayed


def _all_ended(around: World, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while not oracle.ended(around.lab):
        if time.monotonic() > until:
            return False  # the oracle says which
        around.crew.look()
        time.sleep(LOOK_EVERY_S)
    return True


_USED_UP = """
SELECT DISTINCT job_id::text FROM stage_runs JOIN jobs ON jobs.id = job_id
WHERE jobs.status = 'failed' AND stage_runs.status = 'dead'
"""


@dataclass(frozen=True)
class _Figures:
    seed: int
    drain_s: float
    replayed: int


def _record(
    around: World, evidence: oracle.Evidence, profile: Profile, storm: Storm, figures: _Figures, recovery: Recovery
) -> Record:
    verdicts = oracle.judge(evidence)
    waits = recovery.seconds()
    kills = [seconds for what in KILLS for seconds in waits.get(what, [])]
    by_kind = {what: Waits.of(found) for what, found in waits.items()} | (
        {"every kill": Waits.of(kills)} if kills else {}
    )
    wrong = {verdict.rule: list(verdict.wrong) for verdict in verdicts if not verdict.holds} | _too_slow(
        by_kind, profile
    )
    ((jobs, runs, effects, again, oldest_s),) = around.lab.execute(_FIGURES)
    return Record(
        seed=figures.seed,
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        version=VERSION,
        profile=profile.name,
        cores=os.cpu_count() or 1,
        lease_s=around.lab.tools.settings.lease_s,
        storm_s=profile.storm_s,
        drain_s=round(figures.drain_s, 1),
        jobs=jobs,
        runs=runs,
        effects=effects,
        attempts_again=again,
        replayed=figures.replayed,
        ended_by_themselves=storm.ended_by_themselves,
        copies=storm.struck["messages copied"] * COPIES,
        faults={name: storm.struck[name] for name in profile.counts},
        struck=around.proxy.struck | {f"provider {mood}": hits for mood, hits in around.provider.struck.items()},
        kills=sum(storm.struck[fault.name] for fault in FAULTS.values() if fault.kill),
        recovery=by_kind,
        oldest_run_s=round(float(oldest_s), 1),
        verdicts={verdict.rule: verdict.seen for verdict in verdicts},
        wrong=wrong,
    )


_FIGURES = """
SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM stage_runs), (SELECT count(*) FROM effects),
    (SELECT count(*) FROM claims) - (SELECT count(DISTINCT run_id) FROM claims),
    (SELECT max(age_s) FROM ages)
"""


def _left_out(storm: Storm, profile: Profile) -> dict[str, list[str]]:
    short = [
        f"{name}: {storm.struck[name]} of {count}"
        for name, count in profile.counts.items()
        if storm.struck[name] < count
    ]
    return {"every blow found something to hit": short} if short else {}


def _too_slow(waits: dict[str, Waits], profile: Profile) -> dict[str, list[str]]:
    found = waits.get("every kill")
    if found is None or found.median_s <= profile.recovery_median_s:
        return {}
    return {f"a kill costs {profile.recovery_median_s:.0f} s at most, in the median": [f"{found.median_s} s"]}
