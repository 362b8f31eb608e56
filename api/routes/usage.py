"""What an owner may use, what they have used, and what providers have cost."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.deps import Caller, Tools
from api.openapi import problems
from shared.domain.limits import MICRO, Look, Money, Spent, day_ends, month_ends

router = APIRouter(prefix="/v1/owner", tags=["owner"])


class LimitOut(BaseModel):
    limit: Annotated[str, Field(description="Its name, as errors say it.", examples=["audio_minutes_day"])]
    allowed: Annotated[float, Field(description="Jobs, minutes, bytes or US dollars, as the name says.")]
    used: Annotated[float, Field(description="In the same unit.")]
    frees_at: Annotated[datetime | None, Field(description="When it begins anew; null: as jobs end.")]


class SpentOut(BaseModel):
    provider: Annotated[str, Field(description="Who was paid.", examples=["openai"])]
    model: Annotated[str, Field(description="As the provider names it.", examples=["whisper-1"])]
    calls: Annotated[int, Field(description="Requests, including those that failed.")]
    tokens_in: Annotated[int, Field(description="Tokens sent.")]
    tokens_out: Annotated[int, Field(description="Tokens written.")]
    audio_s: Annotated[float, Field(description="Seconds of audio sent.")]
    characters: Annotated[int, Field(description="Characters spoken.")]
    usd: Annotated[float, Field(description="By the price list of this installation; an estimate, not a bill.")]

    @classmethod
    def from_domain(cls, spent: Spent) -> "SpentOut":
        same = {name: getattr(spent, name) for name in cls.model_fields if name != "usd"}
        return cls(**same, usd=spent.micro_usd / MICRO)


class UsageOut(BaseModel):
    now: Annotated[datetime, Field(description="When this was so. Days and months are UTC.")]
    limits: Annotated[list[LimitOut], Field(description="Each limit with what is used of it.")]
    job_budget_usd: Annotated[float, Field(description="What providers may cost for one job.")]
    spent_this_month: Annotated[list[SpentOut], Field(description="By provider and model; local engines cost nothing.")]


@router.get("/usage", operation_id="getUsage", summary="What you may use and have used", responses=problems())
def get_usage(caller: Caller, tools: Tools) -> UsageOut:
    """Deleting a job gives no minutes, bytes or dollars back."""
    seen, money = tools.owner_use.now(caller)
    return UsageOut(
        now=seen.now,
        limits=_limits(seen, money),
        job_budget_usd=seen.limits.job_budget_usd,
        spent_this_month=[SpentOut.from_domain(item) for item in money.month],
    )


def _limits(seen: Look, money: Money) -> list[LimitOut]:
    use, day, month = seen.use, day_ends(seen.now), month_ends(seen.now)
    listed: list[tuple[str, float, datetime | None]] = [
        ("open_jobs", use.open_jobs, None),
        ("waiting_jobs", use.waiting_jobs, None),
        ("audio_minutes_day", round(use.audio_s_day / 60.0, 2), day),
        ("audio_minutes_month", round(use.audio_s_month / 60.0, 2), month),
        ("upload_bytes_day", use.upload_bytes_day, day),
        ("owner_day_budget_usd", money.micro_usd_day / MICRO, day),
        ("owner_month_budget_usd", money.micro_usd_month / MICRO, month),
    ]
    return [
        LimitOut(limit=name, allowed=getattr(seen.limits, name), used=used, frees_at=frees)
        for name, used, frees in listed
    ]
