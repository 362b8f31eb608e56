"""How long a programme lasts, how patient its engine is, and how often each thing goes wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Profile:
    """`counts`: how often each fault of the table strikes. `bound_s`: the oldest that a stage run may become."""

    name: str
    storm_s: float
    jobs_a_second: float
    engine: Mapping[str, float]  # settings that differ from production's
    counts: Mapping[str, int]
    workers: int = 2
    processes: int = 3
    drain_s: float = 180.0
    bound_s: float = 300.0
    recovery_median_s: float = 20.0  # after a kill, what is promised


# The order of lease, beat and work is what matters, so a short programme may shorten all of them.
HASTY = MappingProxyType({"retry_base_s": 2.0, "lease_s": 4.0, "beat_s": 1.0})

SHORT = Profile(
    name="short",
    storm_s=60.0,
    jobs_a_second=1.0,
    engine=HASTY,
    counts=MappingProxyType(
        {
            "child killed": 6,
            "worker killed": 3,
            "steward killed": 2,
            "API killed": 2,
            "ffmpeg killed": 2,
            "worker frozen beyond its lease": 1,
            "messages copied": 3,
            "Redis killed, log kept": 1,
            "Redis killed, all lost": 1,
            "Redis flushed": 1,
            "Postgres restarted": 1,
            "Postgres killed": 1,
            "connections cut": 2,
            "S3 refuses": 1,
            "S3 is slow": 1,
            "S3 truncates": 1,
            "S3 loses a part": 1,
            "disk full": 1,
            "memory limit": 1,
            "provider hangs": 1,
            "provider says 429": 1,
            "clock jumps": 1,
            "messages of another version": 1,
            "rows of another version": 1,
        }
    ),
)

LONG = Profile(
    name="long",
    storm_s=780.0,
    jobs_a_second=1.0,
    engine=MappingProxyType({}),  # production's: a lease of 20 s, a beat of 5 s
    counts=MappingProxyType(
        {
            "child killed": 80,
            "worker killed": 30,
            "steward killed": 30,
            "API killed": 30,
            "ffmpeg killed": 30,
            "worker frozen beyond its lease": 8,
            "messages copied": 25,
            "Redis killed, log kept": 4,
            "Redis killed, all lost": 4,
            "Redis flushed": 8,
            "Postgres restarted": 4,
            "Postgres killed": 3,
            "connections cut": 12,
            "S3 refuses": 5,
            "S3 is slow": 5,
            "S3 truncates": 5,
            "S3 loses a part": 6,
            "disk full": 5,
            "memory limit": 6,
            "provider hangs": 4,
            "provider says 429": 5,
            "clock jumps": 8,
            "messages of another version": 6,
            "rows of another version": 4,
        }
    ),
)
PROFILES = {profile.name: profile for profile in (SHORT, LONG)}
