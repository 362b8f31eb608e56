"""When a worker is not well: work of its own is due, and it takes none."""

from dataclasses import dataclass

import pytest

from shared.domain.errors import StorageUnavailable
from workers.health import IdleWatch
from workers.pulse import Pulse

pytestmark = pytest.mark.unit


@dataclass
class World:
    """What the watch sees."""

    now: float = 1_000.0
    due_s: float = 0.0
    broker: bool = True

    def __post_init__(self) -> None:
        self.beaten_at = 0.0

    @property
    def last(self) -> float:
        return self.beaten_at

    def watch(self) -> IdleWatch:
        return IdleWatch(lambda: self.due_s, self.ping, 120.0, pulse=self, clock=lambda: self.now)  # type: ignore[arg-type]

    def ping(self) -> None:
        if not self.broker:
            raise StorageUnavailable("away")

    def later(self, seconds: float, *, due: bool = True, beat: bool = False) -> None:
        self.now += seconds
        self.due_s = self.due_s + seconds if due else 0.0
        if beat:
            self.beaten_at = self.now


def test_due_work_that_nobody_takes_is_noticed() -> None:
    """After the patience, not before; and it is over with the next sign of life."""
    world = World()
    watch = world.watch()
    world.later(100)
    assert watch() is None
    world.later(30)
    trouble = watch()
    assert trouble is not None
    assert "nothing claimed for 130 s" in trouble
    world.later(1, beat=True)
    assert watch() is None


def test_a_backlog_beside_work_is_no_trouble() -> None:
    """Who works through a long queue shows signs of life all the while."""
    world = World()
    watch = world.watch()
    for _ in range(50):
        world.later(60, beat=True)
        assert watch() is None


def test_nothing_due_excuses() -> None:
    """An idle night, or a queue paused for hours: afterwards there is the whole patience again."""
    world = World()
    watch = world.watch()
    world.later(10_000, due=False)
    assert watch() is None
    world.due_s = 9_000.0  # the queue is opened again, and all of it has been waiting for long
    world.now += 60
    assert watch() is None
    world.now += 61
    assert watch() is not None


def test_a_broker_that_is_away_excuses() -> None:
    """Restarting us would not mend it, and when it is back we get time to reach it."""
    world = World()
    watch = world.watch()
    world.broker = False
    for _ in range(10):
        world.later(60)
        with pytest.raises(StorageUnavailable):
            watch()
    world.broker = True
    world.later(60)
    assert watch() is None
    world.later(61)
    assert watch() is not None


def test_a_child_is_heard_through_the_fork() -> None:
    """What a forked process writes, its parent reads."""
    import os
    import time

    pulse = Pulse()
    before = pulse.last
    time.sleep(0.01)
    child = os.fork()
    if child == 0:
        pulse.beat()
        os._exit(0)
    os.waitpid(child, 0)
    assert pulse.last > before
