"""The table of faults: what each does to the world, for how long, and how it is mended."""

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.programme import provider, s3_proxy
from tests.chaos.programme.blows import (
    Strike,
    cut_connections,
    exhaust_memory,
    fill_disk,
    flush_redis,
    freeze_worker,
    jump_clock,
    kill_api,
    kill_child,
    kill_ffmpeg,
    kill_steward,
    kill_worker,
    lose_redis,
    send_copies,
    stop_server,
)
from tests.chaos.programme.profile import Profile
from tests.chaos.programme.versions import old_rows, strange_messages

Heal = Callable[[], None]


@dataclass(frozen=True)
class Fault:
    """`part`: what it breaks; of two faults of the same part the later one waits until the first is mended."""

    name: str
    inject: Callable[[Strike], Heal | None]
    hold_s: tuple[float, float] = (0.0, 0.0)
    part: str | None = None
    kill: bool = False
    plus_lease: bool = False  # `hold_s` begins when the lease has run out


def _s3(mood: str) -> Callable[[Strike], Heal]:
    def inject(strike: Strike) -> Heal:
        moods = strike.world.proxy.moods
        moods.add(mood)
        return lambda: moods.discard(mood)

    return inject


def _provider(mood: str) -> Callable[[Strike], Heal]:
    def inject(strike: Strike) -> Heal:
        strike.world.provider.turn(mood)
        return lambda: strike.world.provider.turn(provider.WELL)

    return inject


# An outage is longer than what a client waits for by itself, and shorter than the attempts that the ledger has.
OUTAGE_S, DOWN_S = (3.0, 7.0), (0.5, 4.0)

TABLE = (
    Fault("child killed", kill_child, kill=True),
    Fault("worker killed", kill_worker, kill=True),
    Fault("steward killed", kill_steward, kill=True),
    Fault("API killed", kill_api, kill=True),
    Fault("ffmpeg killed", kill_ffmpeg, kill=True),
    Fault("worker frozen beyond its lease", freeze_worker, hold_s=(1.0, 4.0), part="frozen", plus_lease=True),
    Fault("messages copied", send_copies, part="redis"),
    Fault("Redis killed, log kept", stop_server("valkey", signal.SIGKILL), DOWN_S, "redis"),
    Fault("Redis killed, all lost", lose_redis, DOWN_S, "redis"),
    Fault("Redis flushed", flush_redis, part="redis"),
    Fault("Postgres restarted", stop_server("postgres", signal.SIGINT), DOWN_S, "postgres"),
    Fault("Postgres killed", stop_server("postgres", signal.SIGKILL), DOWN_S, "postgres"),
    Fault("connections cut", cut_connections, part="postgres"),
    Fault("S3 refuses", _s3(s3_proxy.REFUSES), OUTAGE_S, "s3"),
    Fault("S3 is slow", _s3(s3_proxy.SLOW), OUTAGE_S, "s3"),
    Fault("S3 truncates", _s3(s3_proxy.TRUNCATES), OUTAGE_S, "s3"),
    Fault("S3 loses a part", _s3(s3_proxy.LOSES_A_PART), (8.0, 12.0), "s3"),
    Fault("disk full", fill_disk, (2.0, 4.0), "disk"),
    Fault("memory limit", exhaust_memory, (3.0, 6.0), "memory"),
    Fault("provider hangs", _provider(provider.HANGS), OUTAGE_S, "provider"),
    Fault("provider says 429", _provider(provider.STORM), OUTAGE_S, "provider"),
    Fault("clock jumps", jump_clock, (3.0, 8.0), "clock"),
    Fault("messages of another version", strange_messages, part="redis"),
    Fault("rows of another version", old_rows, part="postgres"),
)
FAULTS = {fault.name: fault for fault in TABLE}
PEACE_S = 3.0  # at the beginning and at the end


@dataclass(frozen=True, order=True)
class Event:
    """One line of the schedule."""

    at_s: float
    name: str
    hold_s: float


def schedule(profile: Profile, lease_s: float, seed: int) -> list[Event]:
    """The same seed gives the same faults at the same moments. The first seconds and the last are left in peace."""
    draw = random.Random(seed)
    events = [
        _event(FAULTS[name], profile, lease_s, draw) for name, count in profile.counts.items() for _ in range(count)
    ]
    return sorted(events)


def _event(fault: Fault, profile: Profile, lease_s: float, draw: random.Random) -> Event:
    hold_s = draw.uniform(*fault.hold_s) + (lease_s if fault.plus_lease else 0.0)
    return Event(draw.uniform(PEACE_S, profile.storm_s - PEACE_S), fault.name, hold_s)
