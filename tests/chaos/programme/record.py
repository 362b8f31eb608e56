"""What one run of the programme saw, as plain data: the report is made of it and of those before it."""

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

KILLS = ("child", "worker", "ffmpeg")


@dataclass(frozen=True)
class Waits:
    """Seconds from a blow to the next claim of what was hit."""

    count: int
    median_s: float
    p90_s: float
    longest_s: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Waits":
        ordered = sorted(seconds)
        ninth = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
        return cls(len(ordered), round(statistics.median(ordered), 2), round(ninth, 2), round(ordered[-1], 2))


@dataclass(frozen=True)
class Record:
    seed: int
    date: str
    version: str
    profile: str
    cores: int
    lease_s: float
    storm_s: float
    drain_s: float  # from the last blow until every job had ended
    jobs: int
    runs: int
    effects: int
    attempts_again: int  # claims beyond the first of a run
    replayed: int  # jobs that had used up their attempts, and completed when an operator asked again
    ended_by_themselves: int  # workers, stewards and APIs that gave up, and were started again
    copies: int  # messages sent a second time
    faults: dict[str, int]
    struck: dict[str, int]  # requests that suffered from the object store or the provider
    kills: int
    recovery: dict[str, Waits]
    oldest_run_s: float
    verdicts: dict[str, int]  # rule -> how much was looked at
    wrong: dict[str, list[str]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.wrong


def load(path: Path) -> list[Record]:
    if not path.exists():
        return []
    return [_read(row) for row in json.loads(path.read_text())]


def keep(path: Path, records: list[Record]) -> None:
    path.write_text(json.dumps([asdict(record) for record in records], indent=1, ensure_ascii=False) + "\n")


def _read(row: dict[str, Any]) -> Record:
    waits = {what: Waits(**figures) for what, figures in row["recovery"].items()}
    return Record(**{**row, "recovery": waits})
