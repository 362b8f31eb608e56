"""What an owner may use, and what they have used."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

MICRO = 1_000_000  # of a dollar: money is counted in whole ones


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one owner: the settings' defaults, with what the owner's row says instead."""

    open_jobs: int
    waiting_jobs: int
    audio_minutes_day: float
    audio_minutes_month: float
    upload_bytes_day: int
    job_budget_usd: float
    owner_day_budget_usd: float
    owner_month_budget_usd: float


@dataclass(frozen=True, slots=True)
class Use:
    """Of one owner, now. Days and months are UTC."""

    open_jobs: int
    waiting_jobs: int
    audio_s_day: float
    audio_s_month: float
    upload_bytes_day: int


@dataclass(frozen=True, slots=True)
class Look:
    """Limits and use of one owner at one moment."""

    now: datetime
    limits: Limits
    use: Use


@dataclass(frozen=True, slots=True)
class Spent:
    """What providers' calls have cost, by provider and model."""

    provider: str
    model: str
    calls: int
    tokens_in: int
    tokens_out: int
    audio_s: float
    characters: int
    micro_usd: int


@dataclass(frozen=True, slots=True)
class Money:
    """What providers have cost an owner."""

    micro_usd_day: int
    micro_usd_month: int
    month: tuple[Spent, ...]


def day_ends(now: datetime) -> datetime:
    return _midnight(now.astimezone(UTC).date() + timedelta(days=1))


def month_ends(now: datetime) -> datetime:
    first = now.astimezone(UTC).date().replace(day=1)
    return _midnight((first + timedelta(days=32)).replace(day=1))


def month_began(day: date) -> date:
    return day.replace(day=1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
