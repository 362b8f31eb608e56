"""The short programme: every fault of the table at least once, in a minute, then the oracle."""

import os
from pathlib import Path

import pytest

from tests.chaos.programme import report
from tests.chaos.programme.faults import FAULTS, schedule
from tests.chaos.programme.profile import LONG, SHORT
from tests.chaos.programme.run import run

pytestmark = pytest.mark.chaos

SEED = int(os.environ.get("VIBEINSIGHT_CHAOS_SEED", "1"))


def test_nothing_is_lost_and_nothing_is_doubled(tmp_path: Path) -> None:
    """Kills, freezes, outages, full disks, wrong clocks and other versions at once: the oracle finds nothing wrong."""
    record = run(SHORT, SEED, tmp_path)
    print(report.one(record))
    assert record.wrong == {}
    assert record.jobs > 10


def test_every_fault_strikes_in_both_programmes() -> None:
    """The table and the counts name the same faults; the long one kills 200 times and copies 1,000 messages."""
    assert set(SHORT.counts) == set(LONG.counts) == set(FAULTS)
    assert sum(count for name, count in LONG.counts.items() if FAULTS[name].kill) == 200
    assert LONG.counts["messages copied"] * 40 == 1000


def test_the_same_seed_gives_the_same_storm() -> None:
    """What a run has found can be looked for again."""
    assert schedule(LONG, 20.0, 7) == schedule(LONG, 20.0, 7)
    assert schedule(LONG, 20.0, 7) != schedule(LONG, 20.0, 8)
    lasting = [event for event in schedule(LONG, 20.0, 7) if FAULTS[event.name].plus_lease]
    assert all(event.hold_s > 20.0 for event in lasting)
