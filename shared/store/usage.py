"""The book of what providers' calls have cost, and the caps on it.

An entry is written before its call, with the estimate, in a transaction that holds the owner's row: two calls at once
cannot both take the last dollar. The same transaction asks whether the run is still its worker's: who has lost the run
spends nothing. Settling asks nobody, for the money is gone whoever holds the run now.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from shared.domain.errors import BudgetExhausted, Cancelled, Fenced
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import RunStatus
from shared.domain.limits import MICRO, Limits, Money, Spent, day_ends, month_began, month_ends
from shared.ports.provider import Units
from shared.ports.purse import Purchase, Spender
from shared.settings import Settings
from shared.store.limits import limits_of, lock_owner
from shared.store.limits_tables import provider_calls
from shared.store.session import Database
from shared.store.tables import stage_runs


class Spending:
    """Port `Purse`, and what has been spent."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self._settings = database, settings

    def reserve(self, spender: Spender, purchase: Purchase) -> str:
        with self.database.begin() as connection:
            lock_owner(connection, spender.owner_id)
            _check_held(connection, spender)
            if purchase.micro_usd:
                limits = limits_of(connection, spender.owner_id, self._settings)
                _check_caps(connection, spender, purchase.micro_usd, limits)
            row = _entry(spender, purchase)
            return str(
                connection.execute(insert(provider_calls).values(row).returning(provider_calls.c.id)).scalar_one()
            )

    def settle(self, entry: str, units: Units, micro_usd: int, outcome: str) -> None:
        settled = {**_units(units), "micro_usd": micro_usd, "outcome": outcome, "settled_at": func.now()}
        with self.database.begin() as connection:
            connection.execute(update(provider_calls).where(provider_calls.c.id == entry).values(settled))

    def of_job(self, owner_id: OwnerId, job_id: JobId) -> list[Spent]:
        """By provider and model; empty for a job that paid nobody, and for somebody else's."""
        mine = (provider_calls.c.owner_id == owner_id, provider_calls.c.job_id == job_id)
        with self.database.reading_as(owner_id) as connection:
            return spent(connection, *mine)


def spent(connection: Connection, *where: Any) -> list[Spent]:
    names = (provider_calls.c.provider, provider_calls.c.model)
    sums = ("tokens_in", "tokens_out", "audio_s", "characters", "micro_usd")
    columns = [func.sum(provider_calls.c[name]).label(name) for name in sums]
    query = select(*names, func.count().label("calls"), *columns).where(*where).group_by(*names).order_by(*names)
    return [
        Spent(
            provider=row.provider,
            model=row.model,
            calls=row.calls,
            tokens_in=int(row.tokens_in),
            tokens_out=int(row.tokens_out),
            audio_s=float(row.audio_s),
            characters=int(row.characters),
            micro_usd=int(row.micro_usd),
        )
        for row in connection.execute(query)
    ]


def money(connection: Connection, owner_id: OwnerId, now: datetime) -> Money:
    today = now.astimezone(UTC).date()
    day, month = since(owner_id, today), since(owner_id, month_began(today))
    by_model = spent(connection, *month)
    return Money(spent_micro_usd(connection, *day), sum(item.micro_usd for item in by_model), tuple(by_model))


def spent_micro_usd(connection: Connection, *where: Any) -> int:
    total = select(func.coalesce(func.sum(provider_calls.c.micro_usd), 0)).where(*where)
    return int(connection.execute(total).scalar_one())


def since(owner_id: OwnerId, day: date) -> tuple[Any, ...]:
    """An owner's entries from the beginning of a day, UTC."""
    began = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return provider_calls.c.owner_id == owner_id, provider_calls.c.created_at >= began


def _check_held(connection: Connection, spender: Spender) -> None:
    query = select(stage_runs.c.status, stage_runs.c.token).where(stage_runs.c.id == spender.run_id)
    row = connection.execute(query).one_or_none()
    if row is None or row.status == RunStatus.CANCELLED:
        raise Cancelled(f"Job {spender.job_id} was cancelled")
    if row.status != RunStatus.RUNNING or row.token != spender.token:
        raise Fenced(f"Run {spender.run_id} belongs to another worker")


def _check_caps(connection: Connection, spender: Spender, cost: int, limits: Limits) -> None:
    now = connection.execute(select(func.now())).scalar_one()
    today = now.astimezone(UTC).date()
    job = provider_calls.c.job_id == spender.job_id
    caps = (
        ("job_budget_usd", "this job", (job,), limits.job_budget_usd, None),
        ("owner_day_budget_usd", "today", since(spender.owner_id, today), limits.owner_day_budget_usd, day_ends(now)),
        (
            "owner_month_budget_usd",
            "this month",
            since(spender.owner_id, month_began(today)),
            limits.owner_month_budget_usd,
            month_ends(now),
        ),
    )
    for name, what, where, cap_usd, frees_at in caps:
        used = spent_micro_usd(connection, *where)
        if used + cost > round(cap_usd * MICRO):
            raise _exhausted(name, what, used, cost, cap_usd, frees_at)


def _exhausted(
    name: str, what: str, used: int, cost: int, cap_usd: float, frees_at: datetime | None
) -> BudgetExhausted:
    frees = f"; it frees at {frees_at:%Y-%m-%d %H:%M} UTC" if frees_at else ""
    return BudgetExhausted(
        f"The budget for providers is used up: {what} has cost {used / MICRO:.2f} USD of {cap_usd:.2f},"
        f" and the next call may cost {cost / MICRO:.4f}{frees}",
        limit=name,
        allowed_usd=cap_usd,
        used_usd=used / MICRO,
        frees_at=frees_at.isoformat() if frees_at else None,
    )


def _entry(spender: Spender, purchase: Purchase) -> dict[str, object]:
    return {
        "owner_id": spender.owner_id,
        "job_id": spender.job_id,
        "run_id": spender.run_id,
        "provider": purchase.provider,
        "model": purchase.model,
        "micro_usd": purchase.micro_usd,
        **_units(purchase.expected),
    }


def _units(units: Units) -> dict[str, object]:
    return {name: getattr(units, name) for name in ("tokens_in", "tokens_out", "audio_s", "characters")}
