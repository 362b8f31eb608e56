"""What is let in: checked in the transaction that lets it in, while the owner's row is held.

So of two requests at the same moment the second sees what the first has taken, and a limit is a limit. A request that
only repeats an earlier one (its idempotency key was seen) takes nothing and is never refused.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.dialects.postgresql import insert

from shared.domain.errors import QuotaExceeded
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import JobStatus, Priority
from shared.domain.limits import Limits, Spent, Use, day_ends, month_began, month_ends
from shared.settings import Settings
from shared.store.limits import database_now, limits_of, lock_owner
from shared.store.limits_tables import counted_audio, owner_days, owner_limits
from shared.store.pressure import Pressure
from shared.store.session import Database
from shared.store.tables import jobs
from shared.store.usage import since, spent, spent_micro_usd

JOB_ENDS_S = 30  # a place frees with the next job that ends: worth a look after this


class Admission:
    """Every method raises QuotaExceeded (or Overloaded); the caller's transaction is then undone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pressure = Pressure(settings)

    def job(self, connection: Connection, owner_id: OwnerId, priority: Priority = Priority.INTERACTIVE) -> None:
        """After the job's row has been written: it is counted with the others."""
        lock_owner(connection, owner_id)
        now = self.expect(connection, owner_id, priority, more_jobs=0)
        _count(connection, owner_id, now, jobs=1)

    def expect(
        self,
        connection: Connection,
        owner_id: OwnerId,
        priority: Priority = Priority.INTERACTIVE,
        *,
        more_jobs: int = 1,
    ) -> datetime:
        """What would refuse a job now. Gives the moment of the look."""
        self._pressure.check(connection, priority)
        limits, now = limits_of(connection, owner_id, self._settings), database_now(connection)
        use = use_of(connection, owner_id, now)
        _check_jobs(use, limits, more_jobs)
        _check_minutes(use, limits, now, more_s=0.0)
        return now

    def upload(self, connection: Connection, owner_id: OwnerId, size: int) -> None:
        """Bytes as they are declared, or as they came. What is deleted later does not come back."""
        lock_owner(connection, owner_id)
        limits, now = limits_of(connection, owner_id, self._settings), database_now(connection)
        used = use_of(connection, owner_id, now).upload_bytes_day
        if used + size > limits.upload_bytes_day:
            raise _exceeded(
                "upload_bytes_day", "bytes uploaded today", limits.upload_bytes_day, used, day_ends(now), now
            )
        _count(connection, owner_id, now, upload_bytes=size)

    def audio(self, connection: Connection, owner_id: OwnerId, job_id: JobId, audio_s: float) -> None:
        """A recording's length, once it is known. A job is counted once, however often it is tried."""
        lock_owner(connection, owner_id)
        row = {"job_id": job_id, "owner_id": owner_id, "audio_s": audio_s}
        once = insert(counted_audio).values(row).on_conflict_do_nothing().returning(counted_audio.c.job_id)
        if connection.execute(once).first() is None:
            return
        limits, now = limits_of(connection, owner_id, self._settings), database_now(connection)
        _check_minutes(use_of(connection, owner_id, now), limits, now, more_s=audio_s)
        _count(connection, owner_id, now, audio_s=audio_s)


class OwnerUse:
    """What there is for an owner, for the usage call and for stages."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self._settings = database, settings
        self._admission = Admission(settings)

    def now(self, owner_id: OwnerId) -> tuple[Limits, Use, list[Spent], datetime]:
        """Limits, use, what providers have cost this month, and when that was so."""
        with self.database.begin() as connection:
            now = database_now(connection)
            month = since(owner_id, month_began(now.astimezone(UTC).date()))
            limits = limits_of(connection, owner_id, self._settings)
            return limits, use_of(connection, owner_id, now), spent(connection, *month), now

    def expect_job(self, owner_id: OwnerId) -> None:
        """What would refuse a job now, before a large file is sent for it. Takes nothing."""
        with self.database.begin() as connection:
            self._admission.expect(connection, owner_id)

    def set_limits(self, owner_id: OwnerId, **limits: float | None) -> None:
        """An operator's word over the defaults, by the names of `Limits`; None takes one back."""
        row = {"owner_id": owner_id, "updated_at": func.now(), **limits}
        written = insert(owner_limits).values(row)
        with self.database.begin() as connection:
            connection.execute(written.on_conflict_do_update(index_elements=["owner_id"], set_=row))

    def count_audio(self, owner_id: OwnerId, job_id: JobId, audio_s: float) -> None:
        with self.database.begin() as connection:
            self._admission.audio(connection, owner_id, job_id, audio_s)


def use_of(connection: Connection, owner_id: OwnerId, now: datetime) -> Use:
    today = now.astimezone(UTC).date()
    mine = (jobs.c.owner_id == owner_id, jobs.c.status.in_((JobStatus.QUEUED, JobStatus.RUNNING)))
    open_jobs = select(func.count(), func.count().filter(jobs.c.status == JobStatus.QUEUED)).where(*mine)
    opened, waiting = connection.execute(open_jobs).one()
    month = connection.execute(_since(owner_id, month_began(today))).one()
    day = connection.execute(_since(owner_id, today)).one()
    return Use(
        open_jobs=opened,
        waiting_jobs=waiting,
        audio_s_day=float(day.audio_s),
        audio_s_month=float(month.audio_s),
        upload_bytes_day=int(day.upload_bytes),
        micro_usd_day=spent_micro_usd(connection, *since(owner_id, today)),
        micro_usd_month=spent_micro_usd(connection, *since(owner_id, month_began(today))),
    )


def _since(owner_id: OwnerId, day: date) -> Select[Any]:
    sums = (func.coalesce(func.sum(owner_days.c[name]), 0).label(name) for name in ("audio_s", "upload_bytes"))
    return select(*sums).where(owner_days.c.owner_id == owner_id, owner_days.c.day >= day)


def _count(connection: Connection, owner_id: OwnerId, now: datetime, **more: float) -> None:
    row = {"owner_id": owner_id, "day": now.astimezone(UTC).date(), **more}
    grown = {name: owner_days.c[name] + value for name, value in more.items()}
    counted = insert(owner_days).values(row)
    connection.execute(counted.on_conflict_do_update(index_elements=["owner_id", "day"], set_=grown))


def _check_jobs(use: Use, limits: Limits, more: int) -> None:
    """`more` is 0 where the new job is already among those that are used."""
    for name, what, used, allowed in (
        ("open_jobs", "jobs open at once", use.open_jobs, limits.open_jobs),
        ("waiting_jobs", "jobs waiting at once", use.waiting_jobs, limits.waiting_jobs),
    ):
        if used + more > allowed:
            raise QuotaExceeded(
                f"The limit of {allowed} {what} is reached; it frees when one of them ends, or is cancelled",
                limit=name,
                allowed=allowed,
                used=used + more - 1,
                retry_after_s=JOB_ENDS_S,
            )


def _check_minutes(use: Use, limits: Limits, now: datetime, more_s: float) -> None:
    """Before a recording's length is known, only a limit that is wholly used up refuses."""
    for name, what, used_s, allowed, frees_at in (
        ("audio_minutes_day", "minutes of audio today", use.audio_s_day, limits.audio_minutes_day, day_ends(now)),
        (
            "audio_minutes_month",
            "minutes of audio this month",
            use.audio_s_month,
            limits.audio_minutes_month,
            month_ends(now),
        ),
    ):
        if used_s + more_s > allowed * 60.0 or (not more_s and used_s >= allowed * 60.0):
            raise _exceeded(name, what, allowed, round(used_s / 60.0, 1), frees_at, now)


def _exceeded(name: str, what: str, allowed: float, used: float, frees_at: datetime, now: datetime) -> QuotaExceeded:
    return QuotaExceeded(
        f"The limit of {allowed:g} {what} is reached: {used:g} are used; it frees at {frees_at:%Y-%m-%d %H:%M} UTC",
        limit=name,
        allowed=allowed,
        used=used,
        frees_at=frees_at.isoformat(),
        retry_after_s=(frees_at - now).total_seconds(),
    )
