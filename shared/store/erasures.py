"""Deletion of everything of an owner, or of one person whom an owner's service asked for. In steps, each committed with
its counts: whatever stops it in between, it goes on from there, and the report misses nothing.

Which tables hold something is read from the schema, so that a table that comes later is not forgotten.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, insert, select, update

from shared.domain.errors import Held, NotFound
from shared.domain.ids import OwnerId
from shared.domain.keeping import Erasure
from shared.store.deletions import doom
from shared.store.keeping_tables import erasures, object_deletions
from shared.store.retention import drop_upload, owner_hold_of
from shared.store.rows import AnyRow, uuid_or_missing
from shared.store.schema import metadata
from shared.store.session import Database
from shared.store.tables import jobs, owners, uploads

STEP_JOBS = 50  # rows of one transaction: some thousands with runs, progress and documents

# What was done, and that it was deleted, outlives both; neither holds anything of a recording.
ALWAYS_KEPT = frozenset({"audit_log", "erasures"})
# The account and what it has used: without it, deleting would be a way around every limit. Goes with the account.
ACCOUNT = ("api_keys", "retention_policies", "owner_limits", "owner_days", "counted_audio", "provider_calls")


class Erasures:
    def __init__(self, database: Database) -> None:
        self.database = database

    def begin_erasure(self, owner_id: OwnerId, *, on_behalf_of: str | None = None, account: bool = False) -> Erasure:
        """Held when a legal hold lies on anything of it. One that has not ended is gone on with."""
        with self.database.begin() as connection:
            _lock_owner(connection, owner_id)
            _refuse_held(connection, owner_id, on_behalf_of)
            same = (erasures.c.owner_id == owner_id, erasures.c.finished_at.is_(None), _person(on_behalf_of))
            row = connection.execute(select(erasures).where(*same)).one_or_none()
            if row is not None and account and not row.account:
                connection.execute(update(erasures).where(erasures.c.id == row.id).values(account=True))
            if row is None:
                new = {"owner_id": owner_id, "on_behalf_of": on_behalf_of, "account": account}
                row = connection.execute(insert(erasures).values(new).returning(erasures)).one()
            return _report(connection, row.id)

    def erasure(self, owner_id: OwnerId, erasure_id: str | None = None) -> Erasure:
        """The one, or the owner's newest. NotFound when there is none."""
        query = select(erasures.c.id).where(erasures.c.owner_id == owner_id)
        if erasure_id is not None:
            query = query.where(erasures.c.id == uuid_or_missing(erasure_id, "erasure"))
        with self.database.begin() as connection:
            found = connection.execute(query.order_by(erasures.c.requested_at.desc()).limit(1)).scalar_one_or_none()
            if found is None:
                raise NotFound("Nothing has been erased here")
            return _report(connection, found)

    def open_erasures(self) -> list[Erasure]:
        """For the steward: what was begun and is not done."""
        query = select(erasures.c.id).where(erasures.c.finished_at.is_(None)).order_by(erasures.c.requested_at)
        with self.database.begin() as connection:
            return [_report(connection, found) for found in connection.execute(query.limit(20)).scalars()]

    def erase_jobs(self, erasure_id: str) -> int:
        """Some of its jobs with all their rows; 0 when there are none left."""
        with self.database.begin() as connection:
            erasure = _locked(connection, erasure_id)
            if erasure is None:
                return 0
            found = connection.execute(_some_jobs(erasure)).all()
            counts = Counter(_delete_jobs(connection, [job.id for job in found]))
            for job in found:  # their rows are gone: an upload that only they used is nobody's now
                doom(connection, [f"jobs/{job.id}/"], job_id=job.id, erasure_id=erasure_id)
            for job in {job.source["value"]: job for job in found}.values():
                prefixes = drop_upload(connection, job)
                counts["uploads"] += len(prefixes)
                doom(connection, prefixes, erasure_id=erasure_id)
            _count(connection, erasure, counts)
            return len(found)

    def erase_rest(self, erasure_id: str) -> None:
        """When the jobs are gone: everything else that names the owner."""
        with self.database.begin() as connection:
            erasure = _locked(connection, erasure_id)
            if erasure is None or erasure.on_behalf_of is not None:
                return
            counts: Counter[str] = Counter()
            mine = (uploads.c.owner_id == erasure.owner_id, uploads.c.created_at <= erasure.requested_at)
            gone = connection.execute(delete(uploads).where(*mine).returning(uploads.c.id)).scalars().all()
            doom(connection, [f"uploads/{erasure.owner_id}/{one}/" for one in gone], erasure_id=erasure_id)
            counts["uploads"] += len(gone)
            for table in _owners_tables():
                counts[table.name] += connection.execute(delete(table).where(*_of_owner(table, erasure))).rowcount
            _count(connection, erasure, counts)

    def living_uploads(self, owner_id: OwnerId) -> set[str]:
        """Made after the erasure was asked for."""
        with self.database.begin() as connection:
            return set(connection.execute(select(uploads.c.id).where(uploads.c.owner_id == owner_id)).scalars())

    def note_objects(self, erasure_id: str, kind: str, objects: int) -> None:
        with self.database.begin() as connection:
            erasure = _locked(connection, erasure_id)
            if erasure is not None and objects:
                added = {**erasure.objects, kind: erasure.objects.get(kind, 0) + objects}
                connection.execute(update(erasures).where(erasures.c.id == erasure_id).values(objects=added))

    def note_trouble(self, erasure_id: str, error: str) -> None:
        with self.database.begin() as connection:
            connection.execute(update(erasures).where(erasures.c.id == erasure_id).values(error=error))

    def end_erasure(self, erasure_id: str) -> Erasure:
        """The end, if nothing is left of it; the account goes last."""
        with self.database.begin() as connection:
            erasure = _locked(connection, erasure_id)
            if erasure is None or _left(connection, erasure_id) or connection.execute(_some_jobs(erasure)).first():
                return _report(connection, erasure_id)
            if erasure.account and erasure.on_behalf_of is None:
                _count(connection, erasure, _delete_account(connection, erasure.owner_id))
            ended = {"finished_at": func.now(), "error": None}
            connection.execute(update(erasures).where(erasures.c.id == erasure_id).values(ended))
            return _report(connection, erasure_id)


def _lock_owner(connection: Connection, owner_id: OwnerId) -> None:
    """Two requests at once make one erasure."""
    wanted = uuid_or_missing(owner_id, "owner")
    mine = select(owners.c.id).where(owners.c.id == wanted).with_for_update(key_share=True)
    if connection.execute(mine).first() is None:
        raise NotFound(f"There is no owner {owner_id!r}")


def _refuse_held(connection: Connection, owner_id: OwnerId, on_behalf_of: str | None) -> None:
    everything = owner_hold_of(connection, owner_id)
    if everything is not None:
        raise Held(f"A legal hold lies on everything of this owner: {everything.reason}", held_at=everything.since)
    mine = (jobs.c.owner_id == owner_id, jobs.c.held_at.is_not(None), *_asked_by(on_behalf_of))
    held = list(connection.execute(select(jobs.c.id).where(*mine).limit(20)).scalars())
    if held:
        raise Held(f"A legal hold lies on {len(held)} of the jobs, as on {held[0]}; lift it first", jobs=held)


def _person(on_behalf_of: str | None) -> ColumnElement[bool]:
    return erasures.c.on_behalf_of.is_(None) if on_behalf_of is None else erasures.c.on_behalf_of == on_behalf_of


def _asked_by(on_behalf_of: str | None) -> list[ColumnElement[bool]]:
    return [] if on_behalf_of is None else [jobs.c.options["on_behalf_of"].astext == on_behalf_of]


def _some_jobs(erasure: AnyRow) -> Select[Any]:
    """What was there when it was asked for; a job that came under a hold since then stays."""
    wanted = (jobs.c.owner_id == erasure.owner_id, jobs.c.created_at <= erasure.requested_at, jobs.c.held_at.is_(None))
    query = select(jobs).where(*wanted, *_asked_by(erasure.on_behalf_of)).order_by(jobs.c.created_at)
    return query.limit(STEP_JOBS).with_for_update()


def _locked(connection: Connection, erasure_id: str) -> AnyRow | None:
    """None: it has ended."""
    wanted = (erasures.c.id == erasure_id, erasures.c.finished_at.is_(None))
    return connection.execute(select(erasures).where(*wanted).with_for_update()).one_or_none()


def _delete_jobs(connection: Connection, ids: list[str]) -> Mapping[str, int]:
    """Table by table instead of by cascade, so that each can be counted."""
    counts = {}
    for table in _tables():
        columns = [column for column in table.c if column.name == "job_id" and column.references(jobs.c.id)]
        for column in columns:
            counts[table.name] = connection.execute(delete(table).where(column.in_(ids))).rowcount
    counts["jobs"] = connection.execute(delete(jobs).where(jobs.c.id.in_(ids))).rowcount
    return counts


def _owners_tables() -> Iterable[Table]:
    """What names an owner and no job: no part of the account, and not what is always kept."""
    for table in _tables():
        of_job = "job_id" in table.c and not table.c.job_id.nullable
        kept = table.name in ALWAYS_KEPT or table.name in ACCOUNT or table.name in ("jobs", "uploads")
        if "owner_id" in table.c and not of_job and not kept:
            yield table


def _of_owner(table: Table, erasure: AnyRow) -> list[ColumnElement[bool]]:
    """What came after the request stays."""
    wanted = [table.c.owner_id == erasure.owner_id]
    if "job_id" in table.c:
        wanted.append(table.c.job_id.is_(None))
    if "created_at" in table.c:
        wanted.append(table.c.created_at <= erasure.requested_at)
    return wanted


def _tables() -> list[Table]:
    """Those that refer before those that are referred to."""
    return list(reversed(metadata.sorted_tables))


def _delete_account(connection: Connection, owner_id: str) -> Mapping[str, int]:
    counts = {}
    for name in ACCOUNT:
        table = metadata.tables[name]
        counts[name] = connection.execute(delete(table).where(table.c.owner_id == owner_id)).rowcount
    counts["owners"] = connection.execute(delete(owners).where(owners.c.id == owner_id)).rowcount
    return counts


def _count(connection: Connection, erasure: AnyRow, counts: Mapping[str, int]) -> None:
    total = Counter(erasure.rows) + Counter({name: count for name, count in counts.items() if count > 0})
    connection.execute(update(erasures).where(erasures.c.id == erasure.id).values(rows=dict(total)))


def _left(connection: Connection, erasure_id: str) -> int:
    owed = select(func.count()).where(object_deletions.c.erasure_id == erasure_id)
    return connection.execute(owed).scalar_one()


def _report(connection: Connection, erasure_id: str) -> Erasure:
    row = connection.execute(select(erasures).where(erasures.c.id == erasure_id)).one()
    finished_at: datetime | None = row.finished_at
    return Erasure(
        id=row.id,
        owner_id=OwnerId(row.owner_id),
        on_behalf_of=row.on_behalf_of,
        account=row.account,
        rows=dict(sorted(row.rows.items())),
        objects=dict(sorted(row.objects.items())),
        left=_left(connection, row.id),
        error=row.error,
        requested_at=row.requested_at,
        finished_at=finished_at,
    )
