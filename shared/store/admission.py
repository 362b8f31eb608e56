"""What is let in: checked in the transaction that lets it in, while the owner's row is held.

So of two requests at the same moment the second sees what the first has taken, and a limit is a limit. A request that
only repeats an earlier one (its idempotency key was seen) takes nothing and is never refused.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection, func
from sqlalchemy.dialects.postgresql import insert

from shared.domain.errors import QuotaExceeded
from shared.domain.ids import JobId, OwnerId
from shared.domain.job import Priority
from shared.domain.limits import Look, Money, day_ends, month_ends
from shared.settings import Settings
from shared.store.limits import lock_owner, look
from shared.store.limits_tables import counted_audio, owner_days, owner_limits
from shared.store.pressure import Pressure
from shared.store.rows import uuid_or_missing
from shared.store.session import Database
from shared.store.usage import money

JOB_ENDS_S = 30  # a place frees with the next job that ends: worth a look after this


class Admission:
    """Every method raises QuotaExceeded (or Overloaded); the caller's transaction is then undone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pressure = Pressure(settings)

    def job(
        self, connection: Connection, owner_id: OwnerId, priority: Priority = Priority.INTERACTIVE, *, jobs: int = 1
    ) -> None:
        """After the rows of that many new jobs have been written: they are counted with the others."""
        lock_owner(connection, owner_id)
        self._pressure.check(connection, priority)
        seen = look(connection, owner_id, self._settings)
        _check_jobs(seen, written=jobs)
        _check_minutes(seen, more_s=0.0)

    def again(self, connection: Connection, owner_id: OwnerId) -> None:
        """After a job that had ended has been opened again: it is counted with the others."""
        self.job(connection, owner_id)

    def expect(self, connection: Connection, owner_id: OwnerId) -> None:
        """What would refuse a job now. Takes nothing."""
        self._pressure.check(connection, Priority.INTERACTIVE)
        seen = look(connection, owner_id, self._settings)
        _check_jobs(seen, to_come=1)
        _check_minutes(seen, more_s=0.0)

    def upload(self, connection: Connection, owner_id: OwnerId, size: int) -> None:
        """Bytes as they are declared, or as they came. What is deleted later does not come back."""
        lock_owner(connection, owner_id)
        seen = look(connection, owner_id, self._settings)
        allowed, used = seen.limits.upload_bytes_day, seen.use.upload_bytes_day
        if used + size > allowed:
            raise _exceeded("upload_bytes_day", "bytes uploaded today", allowed, used, day_ends(seen.now), seen.now)
        _count(connection, owner_id, seen.now, upload_bytes=size)

    def audio(self, connection: Connection, owner_id: OwnerId, job_id: JobId, audio_s: float) -> None:
        """A recording's length, once it is known. A job is counted once, however often it is tried."""
        lock_owner(connection, owner_id)
        row = {"job_id": job_id, "owner_id": owner_id, "audio_s": audio_s}
        once = insert(counted_audio).values(row).on_conflict_do_nothing().returning(counted_audio.c.job_id)
        if connection.execute(once).first() is None:
            return
        seen = look(connection, owner_id, self._settings)
        _check_minutes(seen, more_s=audio_s)
        _count(connection, owner_id, seen.now, audio_s=audio_s)


class OwnerUse:
    """What there is for an owner, for the usage call and for stages."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self._settings = database, settings
        self._admission = Admission(settings)

    def now(self, owner_id: OwnerId) -> tuple[Look, Money]:
        """Limits and use, and what providers have cost."""
        with self.database.reading_as(owner_id) as connection:
            seen = look(connection, owner_id, self._settings)
            return seen, money(connection, owner_id, seen.now)

    def expect_job(self, owner_id: OwnerId) -> None:
        """What would refuse a job now, before a large file is sent for it. Takes nothing."""
        with self.database.begin() as connection:
            self._admission.expect(connection, owner_id)

    def set_limits(self, owner_id: OwnerId, **limits: float | None) -> bool:
        """An operator's word over the defaults, by the names of `Limits`; None takes one back. False: no such owner."""
        row = {"owner_id": uuid_or_missing(owner_id, "owner"), "updated_at": func.now(), **limits}
        written = insert(owner_limits).values(row)
        with self.database.begin() as connection:
            if not lock_owner(connection, owner_id):
                return False
            connection.execute(written.on_conflict_do_update(index_elements=["owner_id"], set_=row))
            return True

    def count_audio(self, owner_id: OwnerId, job_id: JobId, audio_s: float) -> None:
        with self.database.begin() as connection:
            self._admission.audio(connection, owner_id, job_id, audio_s)


def _count(connection: Connection, owner_id: OwnerId, now: datetime, **more: float) -> None:
    row = {"owner_id": owner_id, "day": now.astimezone(UTC).date(), **more}
    grown = {name: owner_days.c[name] + value for name, value in more.items()}
    counted = insert(owner_days).values(row)
    connection.execute(counted.on_conflict_do_update(index_elements=["owner_id", "day"], set_=grown))


def _check_jobs(seen: Look, *, written: int = 0, to_come: int = 0) -> None:
    """New jobs are among those that are open where they have been `written`, else they are `to_come`."""
    use, limits = seen.use, seen.limits
    for name, what, used, allowed in (
        ("open_jobs", "jobs open at once", use.open_jobs, limits.open_jobs),
        ("waiting_jobs", "jobs waiting at once", use.waiting_jobs, limits.waiting_jobs),
    ):
        if used + to_come > allowed:
            raise QuotaExceeded(
                f"The limit of {allowed} {what} is reached; it frees when one of them ends, or is cancelled",
                limit=name,
                allowed=allowed,
                used=used - written,
                retry_after_s=JOB_ENDS_S,
            )


def _check_minutes(seen: Look, more_s: float) -> None:
    """Before a recording's length is known, only a limit that is wholly used up refuses."""
    use, limits, now = seen.use, seen.limits, seen.now
    for name, what, used_s, allowed, ends in (
        ("audio_minutes_day", "minutes of audio of today", use.audio_s_day, limits.audio_minutes_day, day_ends),
        (
            "audio_minutes_month",
            "minutes of audio this month",
            use.audio_s_month,
            limits.audio_minutes_month,
            month_ends,
        ),
    ):
        if used_s + more_s > allowed * 60.0 or (not more_s and used_s >= allowed * 60.0):
            raise _exceeded(name, what, allowed, round(used_s / 60.0, 1), ends(now), now)


def _exceeded(name: str, what: str, allowed: float, used: float, frees_at: datetime, now: datetime) -> QuotaExceeded:
    return QuotaExceeded(
        f"The limit of {allowed:g} {what} is reached: {used:g} are used; it frees at {frees_at:%Y-%m-%d %H:%M} UTC",
        limit=name,
        allowed=allowed,
        used=used,
        frees_at=frees_at.isoformat(),
        retry_after_s=(frees_at - now).total_seconds(),
    )
