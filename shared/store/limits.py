"""What an owner may use and has used: the settings' defaults with the owner's own row over them, in one look."""

from typing import Any

from sqlalchemy import Connection, Date, Row, Select, cast, func, literal, select

from shared.domain.ids import OwnerId
from shared.domain.job import JobStatus
from shared.domain.limits import Limits, Look, Use
from shared.settings import Settings
from shared.store.limits_tables import owner_days, owner_limits
from shared.store.tables import jobs, owners

NAMES = tuple(Limits.__dataclass_fields__)
_UTC = func.timezone("UTC", func.now())
_TODAY, _THIS_MONTH = cast(_UTC, Date), cast(func.date_trunc("month", _UTC), Date)


def lock_owner(connection: Connection, owner_id: OwnerId) -> bool:
    """What counts against an owner's limits goes one after the other. Rows that refer to the owner are not held up.

    False: there is no such owner.
    """
    mine = select(owners.c.id).where(owners.c.id == owner_id).with_for_update(key_share=True)
    return connection.execute(mine).first() is not None


def look(connection: Connection, owner_id: OwnerId, settings: Settings) -> Look:
    """By the database's clock: the same for all who ask."""
    row = connection.execute(_question(owner_id)).one()
    use = Use(
        open_jobs=row.opened,
        waiting_jobs=row.waiting,
        audio_s_day=float(row.audio_s_day),
        audio_s_month=float(row.audio_s_month),
        upload_bytes_day=int(row.bytes_day),
    )
    return Look(row.now, _limits(row, settings), use)


def limits_of(connection: Connection, owner_id: OwnerId, settings: Settings) -> Limits:
    columns, limits = _with_limits(owner_id)
    return _limits(connection.execute(select(*columns).select_from(limits)).one(), settings)


def _limits(row: Row[Any], settings: Settings) -> Limits:
    own = {name: row._mapping[name] for name in NAMES}
    return Limits(**{name: getattr(settings, name) if value is None else value for name, value in own.items()})


def _with_limits(owner_id: OwnerId) -> tuple[Any, Any]:
    """Columns, and one row to take them from, with nulls where the owner has no word of their own."""
    always = select(literal(1).label("one")).subquery()
    columns = [owner_limits.c[name] for name in NAMES]
    return columns, always.outerjoin(owner_limits, owner_limits.c.owner_id == owner_id)


def _question(owner_id: OwnerId) -> Select[Any]:
    columns, limits = _with_limits(owner_id)
    mine = (jobs.c.owner_id == owner_id, jobs.c.status.in_((JobStatus.QUEUED, JobStatus.RUNNING)))
    waiting = func.count().filter(jobs.c.status == JobStatus.QUEUED)
    counted = select(func.count().label("opened"), waiting.label("waiting")).where(*mine).subquery()
    sums = (
        _sum("audio_s", owner_id, _TODAY).label("audio_s_day"),
        _sum("audio_s", owner_id, _THIS_MONTH).label("audio_s_month"),
        _sum("upload_bytes", owner_id, _TODAY).label("bytes_day"),
    )
    return select(*columns, func.now().label("now"), *counted.c, *sums).select_from(limits.join(counted, literal(True)))


def _sum(name: str, owner_id: OwnerId, since: Any) -> Any:
    total = select(func.coalesce(func.sum(owner_days.c[name]), 0))
    return total.where(owner_days.c.owner_id == owner_id, owner_days.c.day >= since).scalar_subquery()
